/** What one episode of the simulation is set up with; chance picks it. */
import type { ShareLimits } from '../../cache/types.ts'
import type { Random } from '../random.ts'

export type Shares = Readonly<Record<string, ShareLimits>>

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
  /** What groups may hold, by their names; both clients have the same model. */
  readonly shares: Shares
}

export const blockTokens = 16
export const contextTokens = 512
/** Of the requests of tenant b; those of a have none. */
export const otherSalt = 'other'

const mebibyte = 1024 * 1024
/** With less, 48 records, last copies that a request leases may leave it no room to restore. */
export const leastRamBytes = 3 * mebibyte
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
    ramBytes: (isLarge ? random.integer(12, 24) : random.integer(3, 8)) * mebibyte,
    ssdBytes: ssdMiB * mebibyte,
    promptTokensMax: isLarge ? 40 : random.pick([60, 160, 300]),
    answerTokensMax: isLarge ? 4 : 2 * blockTokens,
    rots: random.next() < 0.5,
    shares: isLarge || random.next() < 0.5 ? {} : pickShares(random),
  }
}

/** For one client, for each, or for both together: the group of their model. */
export function pickShares(random: Random): Shares {
  const amounts = [{ part: 0.1 }, { part: 0.4 }, { bytes: 6 * mebibyte }, { bytes: 16 * mebibyte }]
  const share: ShareLimits = {
    ram: random.next() < 0.5 ? null : { bytes: Math.floor(leastRamBytes * random.pick([1, 1.5])) },
    ssd: random.next() < 0.3 ? null : random.pick(amounts),
  }
  return { [random.pick(['tenant:b', 'tenant:*', 'model:fake'])]: share }
}
