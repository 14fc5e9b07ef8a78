/** Whether every group keeps to its share: at any event, and when nothing is under way. */
import type { Cache } from '../../cache/index.ts'
import type { ShareUsage, TierName } from '../../cache/types.ts'
import type { EpisodeCounts } from './counts.ts'

export interface ShareWatch {
  /** Sentences about what is wrong; none when all is well. Asked after every event. */
  look(cache: Cache): string[]
  /** Another life of the service begins. */
  forget(): void
}

interface Seen {
  readonly usedBytes: number
  readonly mostBytes: number
}

const tierNames: readonly TierName[] = ['ram', 'ssd']

export function createShareWatch(counts: Pick<EpisodeCounts, 'fullShares'>): ShareWatch {
  let seen = new Map<string, Seen>()
  return {
    look(cache) {
      const before = seen
      seen = new Map()
      const wrong: string[] = []
      for (const [name, now] of sharesOf(cache)) {
        seen.set(name, now)
        const { usedBytes, mostBytes = 0 } = before.get(name) ?? { usedBytes: 0 }
        if (isFull(now) && !isFull({ usedBytes, mostBytes })) counts.fullShares += 1
        // A share that was made smaller is gone down to; until then nothing is added.
        const allowedBytes = Math.max(now.mostBytes, mostBytes, usedBytes)
        if (before.has(name) && now.usedBytes > allowedBytes) wrong.push(`${name} has ${of(now)}`)
      }
      return wrong
    },
    forget() {
      seen = new Map()
    },
  }
}

/** Those that are near the end of their share, in this tier. */
export const nearShare = (cache: Cache, tier: TierName, withinBytes: number): boolean =>
  sharesOf(cache, [tier]).some(
    ([, { usedBytes, mostBytes }]) => usedBytes + withinBytes > mostBytes,
  )

/** When all that may go has gone; what somebody keeps stays. */
export function overShare(cache: Cache): string[] {
  const free = tierNames.filter((tier) => cache.keeping.keptBytes(tier) === 0)
  return sharesOf(cache, free)
    .filter(([, { usedBytes, mostBytes }]) => usedBytes > mostBytes)
    .map(([name, share]) => `${name} still has ${of(share)}`)
}

function sharesOf(cache: Cache, tiers = tierNames): (readonly [string, Seen])[] {
  const inTier = (tier: TierName, { name, usedBytes, mostBytes }: ShareUsage) => {
    const limitBytes = mostBytes[tier]
    if (limitBytes === null) return []
    const seen = { usedBytes: usedBytes[tier], mostBytes: limitBytes }
    return [[`${name} in ${tier}`, seen] as const]
  }
  const usage = cache.shares.usage()
  return tiers.flatMap((tier) => usage.flatMap((share) => inTier(tier, share)))
}

const isFull = ({ usedBytes, mostBytes }: Seen): boolean => usedBytes > mostBytes * 0.9
const of = ({ usedBytes, mostBytes }: Seen): string => `${usedBytes} of ${mostBytes} bytes`
