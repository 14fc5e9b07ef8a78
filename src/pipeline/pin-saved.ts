/** A request wants what it has saved to be pinned. Its answer is out: a refusal is a reason. */
import { PrefixdError } from '../errors.ts'
import type { CacheAdmin, CacheDirective, Receipt } from './types.ts'

/** The receipt says what became of the wish. */
export function pinSaved(
  pin: CacheAdmin['pin'],
  { ttlMs }: CacheDirective,
  receipt: Receipt,
): Receipt {
  const { prefix, reasons } = receipt
  return { ...receipt, reasons: [...reasons, pinned(pin, prefix, ttlMs)] }
}

function pinned(pin: CacheAdmin['pin'], prefix: string | null, ttlMs: number | null): string {
  if (prefix === null) return 'not pinned: nothing of it was stored'
  try {
    const { id, untilMs } = pin(prefix, ttlMs)
    const until = untilMs === null ? 'it is unpinned' : new Date(untilMs).toISOString()
    return `pinned as ${id} until ${until}`
  } catch (error) {
    if (error instanceof PrefixdError) return `not pinned: ${error.message}`
    throw error
  }
}
