/**
 * The text of a file of API keys → what is kept of them. Pure.
 *
 * ```
 * # one key a line; then, if wanted, a group that shares its cache; then, if wanted, `admin`
 * sk-3f9c0d6a7b1e4d2f
 * sk-81b2c6d0e5f74a39  team-search
 * sk-c04e7a95d3b8421f  team-search  admin
 * ```
 */
import { createHash } from 'node:crypto'
import { limits } from '../../config/limits.ts'
import { PrefixdError } from '../../errors.ts'

/** Of the key itself only its digest stays in memory. */
export interface ApiKey {
  /** sha256, 32 bytes. */
  readonly digest: Buffer
  /** Keys of one group share what is cached; null: this key shares with nobody. */
  readonly group: string | null
  readonly isAdmin: boolean
}

export const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest()

const printable = /^[\x21-\x7e]+$/
const groupName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/**
 * Throws `PREFIXD_E_CONFIG` that names the line, never the key. A file without any key is refused
 * too: it would lock everybody out, or, worse, be taken for "no keys are in use".
 */
export function parseKeyList(text: string, path: string): readonly ApiKey[] {
  const keys: ApiKey[] = []
  const seen = new Map<string, number>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .split(/\s+/)
      .filter(Boolean)
    if (words.length === 0) continue
    const key = parseLine(words, (what) => complain(`${path}:${index + 1}: ${what}`))
    const name = key.digest.toString('hex')
    const earlier = seen.get(name)
    if (earlier !== undefined) {
      throw complain(`${path}:${index + 1}: the key of line ${earlier} is here again.`)
    }
    seen.set(name, index + 1)
    keys.push(key)
    if (keys.length > limits.apiKeys) throw complain(`${path} has over ${limits.apiKeys} keys.`)
  }
  if (keys.length === 0) throw complain(`${path} has no key.`)
  return keys
}

function parseLine(words: readonly string[], wrong: (what: string) => PrefixdError): ApiKey {
  const [key = '', ...rest] = words
  const { apiKeyLengthMin: min, apiKeyLengthMax: max } = limits
  if (key.length < min || key.length > max || !printable.test(key)) {
    throw wrong(`a key has ${min} to ${max} printable ASCII characters; this has ${key.length}.`)
  }
  const isAdmin = rest.at(-1) === 'admin'
  const [group = null, ...more] = isAdmin ? rest.slice(0, -1) : rest
  if (more.length > 0) throw wrong('behind the key stand a group and the word admin at most.')
  if (group !== null && (!groupName.test(group) || group === 'admin')) {
    throw wrong('a group has 1 to 64 letters, digits, dots, dashes and underscores.')
  }
  return { digest: digestOf(key), group, isAdmin }
}

const complain = (message: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_CONFIG', message, {
    field: 'api-keys',
    next: 'Write one key a line, `KEY [GROUP] [admin]`; `openssl rand -hex 24` makes a good one.',
  })
