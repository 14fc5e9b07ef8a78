/** Lists are told a page at a time. */
import { PrefixdError } from '../../errors.ts'

const usualLength = 50

/** `limit` of a query string; throws `PREFIXD_E_INVALID_VALUE` beyond `most`. */
export function readPageLength(asked: string | undefined, most: number): number {
  const limit = asked === undefined ? usualLength : Number(asked)
  if (limit >= 1 && limit <= most) return limit
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `limit must be a whole number from 1 to ${most}, not ${limit}.`,
    { field: 'limit', next: 'Follow next_cursor for more.' },
  )
}
