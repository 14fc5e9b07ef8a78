import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { readSource } from '../support/source-files.ts'

it('the table of families in ARCHITECTURE.md is what `npm run families` prints', () => {
  const path = fileURLToPath(new URL('../../bench/families.ts', import.meta.url))
  const printed = execFileSync(process.execPath, [path], { encoding: 'utf8' })
  expect(printed.trim().split('\n')).toHaveLength(8)
  expect(readSource('ARCHITECTURE.md').text).toContain(printed)
})
