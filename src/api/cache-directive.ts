/** What the client allows the cache to do, from the body and from `x-prefixd-cache`. Pure. */
import { PrefixdError } from '../errors.ts'
import type { CacheDirective } from '../pipeline/types.ts'

/**
 * `cache_prompt: false` (llama-server's word) means neither read nor write; the header says them
 * one by one. The stricter of both holds. Throws `PREFIXD_E_INVALID_VALUE` for a word that is not
 * known, since a client that asks for `no-write` in a spelling of its own relies on it.
 */
export function readCacheDirective(
  cachePrompt: boolean | null | undefined,
  header: string | readonly string[] | undefined,
): CacheDirective {
  const words = [header ?? []]
    .flat()
    .flatMap((line) => line.split(','))
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '')
  const unknown = words.find((word) => word !== 'no-read' && word !== 'no-write')
  if (unknown !== undefined) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `x-prefixd-cache knows "no-read" and "no-write", not "${unknown.slice(0, 40)}".`,
      { field: 'x-prefixd-cache' },
    )
  }
  const allowed = cachePrompt !== false
  return {
    read: allowed && !words.includes('no-read'),
    write: allowed && !words.includes('no-write'),
  }
}
