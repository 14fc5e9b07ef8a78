/** A stored prefix by what people type of its id. */
import {
  type CachedBlock,
  findByBeginning,
  type PrefixIndex,
  prefixIdOf,
} from '../../cache/index.ts'
import { PrefixdError } from '../errors.ts'

/** Enough to tell "unique" from "ambiguous" and to name a few of the ambiguous ones. */
const mostCandidates = 4

/** Throws `PREFIXD_E_PREFIX_NOT_FOUND` or `…_AMBIGUOUS`. O(blocks). */
export function findPrefix(index: PrefixIndex, id: string): CachedBlock {
  const digits = id.toLowerCase()
  if (!/^[0-9a-f]{2,16}$/.test(digits)) {
    throw notFound(`'${id}' is not a prefix id: it takes 2 to 16 hex digits.`)
  }
  const found = findByBeginning(index, digits, mostCandidates)
  if (found.length === 0) throw notFound(`No stored prefix begins with ${id}.`)
  if (found.length > 1) {
    const names = found.map(prefixIdOf).join(', ')
    throw new PrefixdError('PREFIXD_E_PREFIX_AMBIGUOUS', `${id} begins several ids: ${names}.`, {
      field: 'id',
      next: 'Give more digits.',
    })
  }
  return found[0] as CachedBlock
}

const notFound = (message: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_PREFIX_NOT_FOUND', message, {
    field: 'id',
    next: 'See the ids with `prefixd ls`.',
  })
