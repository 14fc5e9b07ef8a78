import { expect, it } from 'vitest'
import { parseResident, residentBytes } from '../../src/observe/resident-memory.ts'

const status = `Name:\tnode
VmRSS:\t  900000 kB
RssAnon:\t  300000 kB
RssFile:\t  100000 kB
RssShmem:\t  500000 kB
`

it('counts what a process has of its own and of files, not what it shares with others', () => {
  expect(parseResident(status)).toBe(400_000 * 1024)
})

it('does not guess where the system tells less', () => {
  expect(parseResident('Name:\tnode\nVmRSS:\t 900000 kB\n')).toBe(null)
  expect(residentBytes(null)).toBe(null)
})

it.runIf(process.platform === 'linux')('reads that of a living process, of no other one', () => {
  const own = residentBytes(process.pid) ?? 0
  expect(own).toBeGreaterThan(10 * 1024 ** 2)
  expect(own).toBeLessThanOrEqual(process.memoryUsage.rss() * 2)
  // No system gives out a number this high.
  expect(residentBytes(2 ** 31 - 1)).toBe(null)
})
