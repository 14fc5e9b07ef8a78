/** What the proof of exactness has found. Pure. */
import { type BlockProof, type Distance, isIdentical, type TokenProof } from './exactness.ts'
import type { Finding } from './findings.ts'

export function blockFindings(proofs: readonly BlockProof[], blockTokens: number): Finding[] {
  const every = (claim: string, holds: (proof: BlockProof) => boolean): Finding => {
    const failed = proofs.filter((proof) => !holds(proof)).map((proof) => proof.promptTokens)
    const count = `${proofs.length - failed.length} of ${proofs.length} prompts`
    const found = failed.length === 0 ? count : `${count}, not those of ${failed.join(', ')} tokens`
    return { claim, holds: failed.length === 0, found }
  }
  const wholeBlocks = (promptTokens: number): number =>
    promptTokens - 1 - ((promptTokens - 1) % blockTokens)
  return [
    every('cold answers restore nothing', ({ cold }) => cold.receipt.restoredTokens === 0),
    every('warm answers restore every whole block, from RAM', ({ promptTokens, warm }) => {
      const { restoredTokens, tier } = warm.receipt
      return restoredTokens === wholeBlocks(promptTokens) && tier === 'ram'
    }),
    every('after a restart they restore the same from the SSD', ({ promptTokens, restarted }) => {
      const { restoredTokens, tier } = restarted.receipt
      return restoredTokens === wholeBlocks(promptTokens) && tier === 'ssd'
    }),
    every('warm logits and tokens are bit-identical to cold', (proof) =>
      isIdentical(proof.cold, proof.warm),
    ),
    every('so are they after a restart', (proof) => isIdentical(proof.cold, proof.restarted)),
  ]
}

/**
 * Cold runs with other calls and reuse to the token differ for one reason, so their distances are
 * drawn alike; to ask that the worst of the one is below the worst of the other would be to toss a
 * coin. So the mean of reuse must be within what two cold runs show, and no logit far beyond it.
 */
export function tokenFindings(
  proofs: readonly TokenProof[],
  batching: readonly Distance[],
): Finding[] {
  const reuse = proofs.flatMap(({ again, sibling }) => [again.distance, sibling.distance])
  const short = proofs.filter(({ promptTokens, again, sibling }) => {
    const isWhole = again.receipt.restoredTokens === promptTokens - 1
    return !isWhole || sibling.receipt.restoredTokens !== sibling.sharedTokens
  })
  const pooled = pooledRms(reuse)
  const worst = worstOf(batching, 'rms')
  return [
    {
      claim: 'reuse goes on to the last shared token',
      holds: short.length === 0,
      found: `${proofs.length - short.length} of ${proofs.length} prompts and their siblings`,
    },
    {
      claim: 'other calls do change logits',
      holds: worst > 0,
      found: `two cold runs are up to ${worst.toFixed(3)} apart (root mean square)`,
    },
    {
      claim: 'reuse to the token changes logits no more than that',
      holds: reuse.length > 0 && pooled <= worst,
      found: `${pooled.toFixed(3)} (root mean square)`,
    },
    {
      claim: 'no single logit is twice as far off as between cold runs',
      holds: worstOf(reuse, 'max') < 2 * worstOf(batching, 'max'),
      found: `${worstOf(reuse, 'max').toFixed(2)}, cold ${worstOf(batching, 'max').toFixed(2)}`,
    },
  ]
}

const worstOf = (distances: readonly Distance[], figure: 'max' | 'rms'): number =>
  Math.max(0, ...distances.map((distance) => distance[figure]))

function pooledRms(distances: readonly Distance[]): number {
  let squares = 0
  let positions = 0
  for (const distance of distances) {
    squares += distance.rms ** 2 * distance.positions
    positions += distance.positions
  }
  return Math.sqrt(squares / positions)
}
