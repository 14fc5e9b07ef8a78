import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { configMarkdown } from '../../src/config/document.ts'
import { configKeys, settingList } from '../../src/config/schema.ts'

it('docs/config.md is what the schema says', () => {
  const written = readFileSync(new URL('../../docs/config.md', import.meta.url), 'utf8')
  expect(written).toBe(configMarkdown())
  for (const key of configKeys) expect(written).toContain(`\n### ${key}\n`)
})

it('gives every setting a flag, a variable and a key of its own', () => {
  const variables = settingList.map(([, { env }]) => env)
  expect(new Set(variables).size).toBe(variables.length)
  expect(new Set(configKeys).size).toBe(configKeys.length)
  for (const variable of variables) expect(variable).toMatch(/^PREFIXD_[A-Z_]+$/)
})

it('has only defaults that it would accept', () => {
  const machine = { memoryBytes: 3 * 1024 ** 3, cpuCount: 3, dataDir: '/data' }
  for (const [property, setting] of settingList) {
    const value = setting.defaultOf(machine)
    if (value !== null) expect(setting.kind.read(value), property).toEqual(value)
  }
})
