/** What one episode of the simulation is set up with; chance picks it. */
import type { Random } from '../random.ts'

export interface Profile {
  /** Of the fake engine; see engines/fake/options.ts. */
  readonly layout: string
  readonly bytesPerToken: number
  readonly reuse: 'token' | 'block'
  readonly eviction: 'retention' | 'lru'
  readonly sequences: number
  readonly ramBytes: number
  readonly ssdBytes: number
  readonly promptTokensMax: number
  readonly answerTokensMax: number
  /** Bytes on the disk change by themselves: bits flip, writes lie, the power fails. */
  readonly rots: boolean
}

export const blockTokens = 16
export const contextTokens = 512
const mebibyte = 1024 * 1024
const layouts = ['kv', 'kv', 'kv+window', 'kv+state', 'kv+window+state', 'state'] as const

export function pickProfile(random: Random): Profile {
  const layout = random.pick(layouts)
  // A block of 16 such tokens takes two slots of the slab.
  const isLarge = layout === 'kv' && random.next() < 0.1
  // With room for everything nothing that was acknowledged may ever be missing.
  const ssdMiB = !isLarge && random.next() < 0.5 ? 2048 : random.integer(12, 48)
  return {
    layout,
    bytesPerToken: isLarge ? 67_584 : random.pick([64, 512]),
    reuse: random.next() < 0.25 ? 'block' : 'token',
    eviction: random.pick(['retention', 'lru'] as const),
    sequences: random.integer(1, 4),
    // Below 3 MiB, 48 records, last copies that a request leases may leave it no room to restore.
    ramBytes: (isLarge ? random.integer(12, 24) : random.integer(3, 8)) * mebibyte,
    ssdBytes: ssdMiB * mebibyte,
    promptTokensMax: isLarge ? 40 : random.pick([60, 160, 300]),
    answerTokensMax: isLarge ? 4 : 2 * blockTokens,
    rots: random.next() < 0.5,
  }
}
