/** Brings a sequence back to its prompt when a choice has been decoded behind it. */
import type { Plan } from '../../cache/index.ts'
import type { GenerateInput, ModelInfo, Sequence } from '../../engines/index.ts'
import type { HeldPrefix } from './hold.ts'
import { type Restored, restore } from './restore.ts'

export interface Standing {
  readonly input: Pick<GenerateInput, 'tokens'>
  readonly info: Pick<ModelInfo, 'layout'>
  readonly reuse: 'token' | 'block'
  readonly blockTokens: number
  /** As for the first choice: every restore is counted, and one that failed is logged. */
  readonly onRestored: (restored: Restored, plan: Plan) => void
}

/**
 * Answers how many tokens stand: all but the last one, whose logits the next choice needs. With
 * `--reuse block` only whole blocks of the grid, so that a choice has the bits that its seed has
 * alone. What cannot be cut is restored from where the first choice saved it; where it saved
 * nothing, it is computed again.
 */
export async function standAgain(
  sequence: Sequence,
  held: Pick<HeldPrefix, 'leaseAgain'>,
  { input, info, reuse, blockTokens, onRestored }: Standing,
): Promise<number> {
  const most = input.tokens.length - 1
  if (info.layout.sliceable) {
    const again = reuse === 'block' ? most - (most % blockTokens) : most
    await sequence.trim(again)
    return again
  }
  await sequence.trim(0)
  const lease = held.leaseAgain()
  try {
    const restored = await restore(sequence, lease)
    onRestored(restored, lease.plan)
    return restored.tokenCount
  } finally {
    lease.release()
  }
}
