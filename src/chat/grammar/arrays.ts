/** Arrays: first items one by one, then as many of a kind as there may be. Pure. */
import type { Facts } from './facts.ts'
import { choice, optional, type Piece, type Rules, sequence } from './gbnf.ts'
import type { Notation } from './notation.ts'
import type { Schema } from './schema-document.ts'
import { pathTo, schemaError } from './schema-error.ts'

export interface ArrayOptions {
  readonly rules: Rules
  readonly frame: Notation['array']
  readonly valuePiece: (schema: Schema, path: string) => Piece | null
}

/** Null: no array fits. */
export function arrayPiece(facts: Facts, { rules, frame, valuePiece }: ArrayOptions): Piece | null {
  const { path, minItems } = facts
  const further =
    facts.items === false ? null : valuePiece(facts.items ?? true, pathTo(path, 'items'))
  const most = further === null ? least(facts.maxItems, facts.prefix.length) : facts.maxItems
  if (facts.uniqueItems && (most === null || most > 1)) {
    throw schemaError(
      pathTo(path, 'uniqueItems'),
      'cannot be held to: a grammar does not remember items',
      'Leave it out, and remove equal items in your program.',
    )
  }
  const prefix = facts.prefix.map((schema, index) =>
    valuePiece(schema, pathTo(pathTo(path, 'prefixItems'), index)),
  )
  const impossible = prefix.indexOf(null)
  const max = impossible < 0 ? most : least(most, impossible)
  if (max !== null && minItems > max) return null
  const list = itemList(rules, {
    prefix: prefix.slice(0, max ?? undefined).filter((piece) => piece !== null),
    further,
    min: minItems,
    max,
    separator: frame.separator,
  })
  const whole = list === '""' ? [] : [sequence(frame.open, list, frame.close)]
  return choice([...(minItems === 0 ? [sequence(frame.open, frame.close)] : []), ...whole])
}

interface ItemList {
  readonly prefix: readonly Piece[]
  readonly further: Piece | null
  readonly min: number
  readonly max: number | null
  readonly separator: Piece
}

/** At least one item; `""` where there may be none. */
function itemList(rules: Rules, { prefix, further, min, max, separator }: ItemList): Piece {
  if (max === 0) return '""'
  const count = prefix.length
  const follows = (piece: Piece): Piece => sequence(separator, piece)
  if (count === 0) {
    if (further === null) return '""'
    return sequence(
      further,
      rules.times(follows(further), Math.max(0, min - 1), max === null ? null : max - 1),
    )
  }
  const more =
    further === null
      ? ''
      : rules.times(follows(further), Math.max(0, min - count), max === null ? null : max - count)
  // Behind the last item that must be there the list may end at any item.
  let rest: Piece = more
  for (let index = count - 1; index > 0; index -= 1) {
    const item = rules.add('items', sequence(follows(prefix[index] ?? '""'), rest))
    rest = index < min ? item : optional(item)
  }
  return sequence(prefix[0] ?? '""', rest)
}

const least = (a: number | null, b: number): number => (a === null ? b : Math.min(a, b))
