import { describe, expect, it } from 'vitest'
import { readShare } from '../../src/config/shares.ts'

describe('a share', () => {
  it.each([
    ['model:qwen=25%', { name: 'model:qwen', ram: { part: 0.25 }, ssd: { part: 0.25 } }],
    ['tenant:*=12.5% / 100%', { name: 'tenant:*', ram: { part: 0.125 }, ssd: { part: 1 } }],
    [
      'model:hf:owner/repo/a=b.gguf=1GiB/10GB',
      { name: 'model:hf:owner/repo/a=b.gguf', ram: { bytes: 2 ** 30 }, ssd: { bytes: 1e10 } },
    ],
  ])('is read: %s', (text, share) => {
    expect(readShare(text)).toEqual(share)
  })

  it.each([
    'qwen=25%',
    'key:a=25%',
    'model:=25%',
    'model:a',
    'model:a=',
    'model:a=101%',
    'model:a=0%',
    'model:a=0',
    'model:a=1GiB/0%',
    'model:a=-1%',
    'model:a=much',
    'model:a=1GiB/2GiB/3GiB',
    'model:a=1GiB/',
  ])('is none: %s', (text) => {
    expect(readShare(text)).toBeNull()
  })
})
