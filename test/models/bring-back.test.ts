import { expect, it } from 'vitest'
import { bringBackCommand } from '../../src/models/bring-back.ts'
import { defaultModelName } from '../../src/models/catalogue.ts'

it.each([
  [defaultModelName, 'pip:a-package', `prefixd models pull ${defaultModelName}`],
  ['tiny-mlx', 'gguf:tiny', 'prefixd models convert tiny --to mlx'],
  ['tiny-mlx', 'gguf:tiny as float16', 'prefixd models convert tiny --to mlx --dtype float16'],
  ['owner--repo', 'hf:owner/repo', 'prefixd models pull hf:owner/repo'],
  ['tiny', 'file', null],
])('%s from %s is brought back by %s', (name, source, command) => {
  expect(bringBackCommand({ name, source })).toBe(command)
})
