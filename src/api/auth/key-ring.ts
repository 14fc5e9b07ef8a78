/** Key → caller. The server derives the salts itself, so that no client can choose another's. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Caller } from './caller.ts'
import { type ApiKey, digestOf } from './key-list.ts'

export interface KeyRing {
  /** Null for a key that is not known. Takes as long for every key. */
  identify(key: string): Caller | null
}

/** Every word is framed by its length, so that no two lists of words give the same bytes. */
function hmacHex(secret: Uint8Array, words: readonly string[]): string {
  const hmac = createHmac('sha256', secret)
  for (const word of words) hmac.update(`${Buffer.byteLength(word)}:${word}`)
  return hmac.digest('hex')
}

function callerOf({ digest, group, isAdmin }: ApiKey, secret: Uint8Array): Caller {
  const whose = group === null ? ['key', digest.toString('hex')] : ['group', group]
  // A name of its own derivation: lists and logs must not tell anything of the salt.
  const tenant = group ?? `key-${hmacHex(secret, ['name', ...whose]).slice(0, 8)}`
  return { tenant, salt: hmacHex(secret, ['salt', ...whose]), isAdmin }
}

/**
 * What one client's own `cache_salt` makes of its caller's salt. It can only divide what the
 * caller shares, never reach what another caller has.
 */
export const saltWithin = (callerSalt: string, cacheSalt: string): string =>
  hmacHex(Buffer.from(callerSalt), ['cache_salt', cacheSalt])

export function createKeyRing(keys: readonly ApiKey[], secret: Uint8Array): KeyRing {
  const callers = keys.map((key) => ({ digest: key.digest, caller: callerOf(key, secret) }))
  return {
    identify(key) {
      const digest = digestOf(key)
      let found: Caller | null = null
      // To the end, whatever was found: the time must not say how near the guess was.
      for (const each of callers) if (timingSafeEqual(each.digest, digest)) found = each.caller
      return found
    },
  }
}
