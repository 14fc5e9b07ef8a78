/**
 * What replies have acknowledged as saved, and how much of that must be found. Only three things
 * excuse a loss: the bytes were damaged, the SSD tier was short of room, somebody asked for it.
 */
import { blockHash, rootHash } from '../../cache/chain.ts'
import type { Entry } from '../../cache/tiers/record-format.ts'
import type { BlockHash, Namespace } from '../../cache/types.ts'
import { blockTokens } from './profile.ts'

export interface Acknowledged {
  readonly namespace: Namespace
  readonly salt: string
  /** Prompt and answer. */
  readonly tokens: Uint32Array
  /** At least so many of them were acknowledged. */
  readonly count: number
}

export interface Owed {
  /** Must be restored, where a model is restored to any token. */
  readonly tokenCount: number
  /** Nothing of it is excused. */
  readonly isWhole: boolean
}

interface Loss {
  readonly parent: BlockHash
  readonly blockIndex: number
  readonly tokens: Uint32Array
}

export interface Promises {
  readonly all: readonly Acknowledged[]
  acknowledge(promise: Acknowledged): void
  /** This record may be missing from now on, until it is stored again. */
  excuse(name: string, entry: Entry, tokens: Uint32Array): void
  isExcused(name: string): boolean
  storedAgain(name: string): void
  owed(promise: Acknowledged): Owed
}

const kept = 60

export function createPromises(hash64: (bytes: Uint8Array) => bigint): Promises {
  const all: Acknowledged[] = []
  const losses = new Map<string, Loss>()

  /** The name of the block before each block of these tokens. */
  function parentsOf({ namespace, tokens }: Acknowledged): BlockHash[] {
    const parents = [rootHash(hash64, namespace)]
    for (let from = 0; from + blockTokens <= tokens.length; from += blockTokens) {
      const own = tokens.subarray(from, from + blockTokens)
      parents.push(blockHash(hash64, parents.at(-1) as BlockHash, own))
    }
    return parents
  }

  return {
    all,
    acknowledge(promise) {
      all.push(promise)
      if (all.length > kept) all.shift()
    },
    excuse(name, { record }, tokens) {
      const { parent, blockIndex } = record
      losses.set(name, { parent, blockIndex, tokens: tokens.slice() })
    },
    isExcused: (name) => losses.has(name),
    storedAgain: (name) => void losses.delete(name),
    owed(promise) {
      const parents = parentsOf(promise)
      let end = promise.tokens.length
      for (const { parent, blockIndex, tokens } of losses.values()) {
        const from = blockIndex * blockTokens
        if (parents[blockIndex] !== parent || from >= end) continue
        // A block that has not even the first token in common was never wanted for it.
        if (tokens.length === 0 || tokens[0] === promise.tokens[from]) end = from
      }
      const isWhole = end === promise.tokens.length
      return { tokenCount: Math.min(promise.count, end), isWhole }
    },
  }
}
