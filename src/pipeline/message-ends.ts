/** Where the messages of a tokenised chat end: other turns and sessions leave it there. Pure. */
import type { TokenIds } from '../../cache/types.ts'
import type { ModelInfo } from '../../engines/types.ts'

/** One past each token that ends a message, rising. */
export function messageEndsOf(
  tokens: TokenIds,
  { endTokens }: Pick<ModelInfo, 'endTokens'>,
): number[] {
  const ends = new Set(endTokens)
  const positions: number[] = []
  for (const [at, token] of tokens.entries()) if (ends.has(token)) positions.push(at + 1)
  return positions
}
