import { describe, expect, it } from 'vitest'
import xxhash from 'xxhash-wasm'
import { blockHash, cutBlocks, rootHash } from '../../cache/chain.ts'
import { namespaceOf } from '../../cache/namespace.ts'
import type { Namespace } from '../../cache/types.ts'

const { h64Raw } = await xxhash()
const hash64 = (bytes: Uint8Array) => h64Raw(bytes)
const namespace = 'n'.repeat(64) as Namespace
const tokens = Uint32Array.from({ length: 600 }, (_, i) => i * 7)

describe('a chain of blocks', () => {
  it('cuts whole blocks and one shorter tail', () => {
    const blocks = cutBlocks(hash64, namespace, tokens, 256)
    expect(blocks.map(({ from, to }) => [from, to])).toEqual([
      [0, 256],
      [256, 512],
      [512, 600],
    ])
    expect(blocks.map((block) => block.index)).toEqual([0, 1, 2])
  })

  it('links every block to its parent, and the first one to the namespace', () => {
    const blocks = cutBlocks(hash64, namespace, tokens, 256)
    expect(blocks[0]?.parent).toBe(rootHash(hash64, namespace))
    expect(blocks[1]?.parent).toBe(blocks[0]?.hash)
    expect(blocks[2]?.parent).toBe(blocks[1]?.hash)
  })

  it('gives the same hashes for ever, since they name what is on disk', () => {
    const blocks = cutBlocks(hash64, namespace, tokens, 256)
    expect(blocks.map((block) => block.hash)).toMatchInlineSnapshot(`
      [
        "bcec0d80141335c3",
        "d381b2e2bf3c90c8",
        "89c5eb3f1ef70c90",
      ]
    `)
  })

  it('changes every later hash when one token changes, and no earlier one', () => {
    const other = tokens.slice()
    other[300] = 1
    const before = cutBlocks(hash64, namespace, tokens, 256)
    const after = cutBlocks(hash64, namespace, other, 256)
    expect(after[0]?.hash).toBe(before[0]?.hash)
    expect(after[1]?.hash).not.toBe(before[1]?.hash)
    expect(after[2]?.hash).not.toBe(before[2]?.hash)
  })

  it('depends on the extra key, e.g. the hash of an image', () => {
    const parent = rootHash(hash64, namespace)
    const plain = blockHash(hash64, parent, tokens)
    expect(blockHash(hash64, parent, tokens, 'image')).not.toBe(plain)
  })

  it('hashes a view of tokens as it hashes a copy', () => {
    const parent = rootHash(hash64, namespace)
    const view = tokens.subarray(10, 60)
    expect(blockHash(hash64, parent, view)).toBe(blockHash(hash64, parent, view.slice()))
  })
})

describe('a namespace', () => {
  const parts = {
    fingerprint: { engine: 'llama.cpp', settings: { a: '1', b: '2' } },
    weightsDigest: 'd',
    blockTokens: 256,
    salt: '',
  }

  it('does not depend on the order of keys', () => {
    const fingerprint = { settings: { b: '2', a: '1' }, engine: 'llama.cpp' }
    expect(namespaceOf({ ...parts, fingerprint })).toBe(namespaceOf(parts))
  })

  it('differs when anything in it differs', () => {
    const variants = [
      { ...parts, weightsDigest: 'e' },
      { ...parts, blockTokens: 128 },
      { ...parts, salt: 's' },
      { ...parts, fingerprint: { ...parts.fingerprint, engine: 'mlx' } },
      { ...parts, fingerprint: { ...parts.fingerprint, settings: { a: '1', b: '3' } } },
    ]
    const all = new Set([parts, ...variants].map(namespaceOf))
    expect(all.size).toBe(variants.length + 1)
  })
})
