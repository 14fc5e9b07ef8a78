import { expect, test } from 'vitest'
import { CacheError } from '../../cache/errors.ts'
import { createLog } from '../../src/observe/log.ts'

function logOf(error: unknown): string[] {
  const lines: string[] = []
  createLog('warn', (line) => void lines.push(line)).warn('the SSD tier refused a block', error)
  return lines
}

test('a line names the code of its error, by which docs/errors.md explains it', () => {
  const error = new CacheError('PREFIXD_E_CACHE_IO', 'its checksum is wrong')
  expect(logOf(error)).toEqual([
    'warn: the SSD tier refused a block: its checksum is wrong (PREFIXD_E_CACHE_IO)',
  ])
})

test('a code that stands in the message already is not said twice', () => {
  const error = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
  expect(logOf(error)).toEqual(['warn: the SSD tier refused a block: EIO: i/o error, read'])
})

test('what has no code is said as it is', () => {
  expect(logOf(new Error('full'))).toEqual(['warn: the SSD tier refused a block: full'])
  expect(logOf('full')).toEqual(['warn: the SSD tier refused a block: full'])
  expect(logOf(null)).toEqual(['warn: the SSD tier refused a block'])
})
