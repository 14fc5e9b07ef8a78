/** A request wants what it has saved to be pinned. Its answer is out: a refusal is a reason. */
import { PrefixdError } from '../errors.ts'
import type { CacheAdmin, CacheDirective, Receipt } from './types.ts'

/** The receipt says what became of the wish. */
export async function pinSaved(
  pin: CacheAdmin['pin'],
  { ttlMs }: CacheDirective,
  receipt: Receipt,
): Promise<Receipt> {
  const { prefix, reasons } = receipt
  return { ...receipt, reasons: [...reasons, await pinned(pin, prefix, ttlMs)] }
}

async function pinned(
  pin: CacheAdmin['pin'],
  prefix: string | null,
  ttlMs: number | null,
): Promise<string> {
  if (prefix === null) return 'not pinned: nothing of it was stored'
  try {
    const { id, untilMs } = await pin(prefix, ttlMs)
    const until = untilMs === null ? 'it is unpinned' : new Date(untilMs).toISOString()
    return `pinned as ${id} until ${until}`
  } catch (error) {
    if (error instanceof PrefixdError) return `not pinned: ${error.message}`
    throw error
  }
}
