import { totalmem } from 'node:os'
import { expect, it } from 'vitest'
import { fileBytesOf, machineMemory } from '../../src/config/machine-memory.ts'

it('files in memory are free to be taken, shared memory is not', () => {
  const stat = 'anon 5000\nfile 9000\nshmem 2000\ninactive_file 1\nfile_mapped 3000\n'
  expect(fileBytesOf(stat)).toBe(7000)
  expect(fileBytesOf('')).toBe(0)
})

it('no more is available than there is', () => {
  const { totalBytes, availableBytes } = machineMemory()
  expect(totalBytes).toBeGreaterThan(0)
  expect(totalBytes).toBeLessThanOrEqual(totalmem())
  expect(availableBytes ?? 0).toBeLessThanOrEqual(totalBytes)
})
