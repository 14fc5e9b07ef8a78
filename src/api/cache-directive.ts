/**
 * What the client wants of the cache: every dialect's fields, and the header `x-prefixd-cache`,
 * become one directive. Pure.
 */
import { limits } from '../config/limits.ts'
import { PrefixdError, shown } from '../errors.ts'
import type { CacheDirective } from '../pipeline/types.ts'
import type { Caller } from './auth/caller.ts'
import { saltWithin } from './auth/key-ring.ts'

/** A dialect's own cache controls. Null and absent say nothing. */
export interface CacheWishes {
  /** llama-server's `cache_prompt`; false: neither read nor write. */
  readonly cachePrompt?: boolean | null | undefined
  /** vLLM's `cache_salt`: the client divides what its key shares. */
  readonly salt?: string | null | undefined
  /** OpenAI's `prompt_cache_options.mode`. Explicit without a breakpoint: do not cache this. */
  readonly mode?: 'implicit' | 'explicit' | null | undefined
  readonly hasBreakpoints?: boolean
  /** E.g. `5m`, `1h`; `ttlField` names the field for errors. */
  readonly ttl?: string | null | undefined
  readonly ttlField?: string
  /** OpenAI's `prompt_cache_retention`. */
  readonly retention?: 'in_memory' | 'in-memory' | '24h' | null | undefined
}

type Header = string | readonly string[] | undefined

/**
 * The stricter of body and header holds. Throws `PREFIXD_E_INVALID_VALUE` for a word of the header
 * that is not known, since a client that asks for `no-write` in a spelling of its own relies on it;
 * and `PREFIXD_E_ADMIN_KEY` for a pin that others would have to make room for.
 */
export function readCacheDirective(
  wishes: CacheWishes,
  header: Header,
  caller: Pick<Caller, 'salt' | 'isAdmin'>,
): CacheDirective {
  const words = wordsOf(header)
  const ttlWord = words.find((word) => word.startsWith('ttl='))
  const isOff = wishes.mode === 'explicit' && wishes.hasBreakpoints !== true
  const isInMemory = wishes.retention === 'in_memory' || wishes.retention === 'in-memory'
  const isAllowed = wishes.cachePrompt !== false && !isOff
  const bodyTtl = wishes.ttl == null ? null : readTtl(wishes.ttl, wishes.ttlField ?? 'ttl')
  const write = isAllowed && !words.includes('no-write')
  if (words.includes('pin')) checkPin(write, caller)
  return {
    read: isAllowed && !words.includes('no-read'),
    write,
    ...(words.includes('pin') ? { pin: true } : {}),
    spill: !isInMemory && !words.includes('ephemeral'),
    ttlMs: ttlWord === undefined ? bodyTtl : ttlOfHeader(ttlWord),
    salt: saltOf(caller.salt, wishes.salt),
  }
}

function wordsOf(header: Header): readonly string[] {
  const words = [header ?? []]
    .flat()
    .flatMap((line) => line.split(','))
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '')
  const isKnown = (word: string) =>
    ['no-read', 'no-write', 'ephemeral', 'pin'].includes(word) || word.startsWith('ttl=')
  const unknown = words.find((word) => !isKnown(word))
  if (unknown === undefined) return words
  throw invalid(
    'x-prefixd-cache',
    'x-prefixd-cache knows "no-read", "no-write", "ephemeral", "pin" and "ttl=", not ' +
      `"${shown(unknown)}".`,
  )
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

const ttlOfHeader = (word: string): number =>
  readTtl(
    word.slice('ttl='.length),
    'x-prefixd-cache',
    'What stands behind ttl= in x-prefixd-cache',
  )

/** Milliseconds of `90`, `90s`, `5m`, `1h` or `2d`. */
function readTtl(text: string, field: string, subject = field): number {
  const [, digits, unit] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? []
  const seconds = Number(digits) * (secondsOf[unit || 's'] ?? Number.NaN)
  if (seconds >= 1 && seconds <= limits.cacheTtlSecondsMax) return seconds * 1000
  throw invalid(
    field,
    `${subject} must be a time like 90s, 5m, 1h or 2d, of ${limits.cacheTtlSecondsMax} s at ` +
      `most, not "${shown(text)}".`,
  )
}

function saltOf(callerSalt: string, cacheSalt: string | null | undefined): string {
  if (cacheSalt == null) return callerSalt
  if (cacheSalt.length >= 1 && cacheSalt.length <= limits.cacheSaltLength) {
    return saltWithin(callerSalt, cacheSalt)
  }
  throw invalid(
    'cache_salt',
    `cache_salt must have 1 to ${limits.cacheSaltLength} characters, not ${cacheSalt.length}.`,
  )
}

/** Pins take room from everybody, so they want the key that `PUT /v1/cache/pins` wants. */
function checkPin(write: boolean, { isAdmin }: Pick<Caller, 'isAdmin'>): void {
  if (!isAdmin) {
    throw new PrefixdError('PREFIXD_E_ADMIN_KEY', 'x-prefixd-cache: pin wants an admin key.', {
      field: 'x-prefixd-cache',
      next: 'Ask for a time with ttl=, or use a key that has the word `admin` behind it.',
    })
  }
  if (write) return
  throw invalid(
    'x-prefixd-cache',
    'x-prefixd-cache says "pin" of a request that is not to be stored; leave one of the two away.',
  )
}

const invalid = (field: string, message: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_INVALID_VALUE', message, { field })
