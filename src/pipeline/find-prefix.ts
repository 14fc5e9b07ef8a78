/** A stored prefix, or a pin, by what people type of its id. */
import {
  type CachedBlock,
  findByBeginning,
  type PrefixIndex,
  prefixIdOf,
} from '../../cache/index.ts'
import type { Pin } from '../catalog/types.ts'
import { PrefixdError, shown } from '../errors.ts'

/** Enough to tell "unique" from "ambiguous" and to name a few of the ambiguous ones. */
const mostCandidates = 4

const seeStored = 'See the ids with `prefixd ls`.'
const seePinned = 'See what is pinned with `prefixd pin`.'

/** Throws `PREFIXD_E_PREFIX_NOT_FOUND` or `…_AMBIGUOUS`, and names the field. O(blocks). */
export function findPrefix(index: PrefixIndex, id: string, field = 'id'): CachedBlock {
  const digits = digitsOf(id, field, seeStored)
  const found = findByBeginning(index, digits, mostCandidates)
  if (found.length === 0) throw notFound(`No stored prefix begins with ${id}.`, field, seeStored)
  if (found.length > 1) throw ambiguous(id, field, 'ids', found.map(prefixIdOf))
  return found[0] as CachedBlock
}

/** As `findPrefix`, also of a prefix that is not stored. */
export function findPin(pins: readonly Pin[], id: string): Pin {
  const found = pinsNamed(pins, digitsOf(id, 'id', seePinned))
  if (found.length === 0) throw notFound(`No pinned prefix begins with ${id}.`, 'id', seePinned)
  const ids = found.map(({ hash }) => hash.slice(0, 12))
  if (ids.length > 1) throw ambiguous(id, 'id', 'pinned ids', ids)
  return found[0] as Pin
}

/** Some of them; none where it is no id. */
export function pinsNamed(pins: readonly Pin[], id: string): readonly Pin[] {
  const digits = id.toLowerCase()
  if (!isId(digits)) return []
  return pins.filter(({ hash }) => hash.startsWith(digits)).slice(0, mostCandidates)
}

const isId = (digits: string): boolean => /^[0-9a-f]{2,16}$/.test(digits)

function digitsOf(id: string, field: string, next: string): string {
  const digits = id.toLowerCase()
  if (isId(digits)) return digits
  throw notFound(`'${shown(id)}' is not a prefix id: it takes 2 to 16 hex digits.`, field, next)
}

const notFound = (message: string, field: string, next: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_PREFIX_NOT_FOUND', message, { field, next })

const ambiguous = (id: string, field: string, what: string, ids: readonly string[]): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_PREFIX_AMBIGUOUS',
    `${id} begins several ${what}: ${ids.join(', ')}.`,
    { field, next: 'Give more digits.' },
  )
