/** Objects: their properties in the schema's order, then others where they may be. Pure. */
import type { Facts } from './facts.ts'
import { choice, optional, type Piece, type Rules, sequence } from './gbnf.ts'
import type { ObjectFrame } from './notation.ts'
import type { Schema } from './schema-document.ts'
import { pathTo, schemaError } from './schema-error.ts'

export interface ObjectOptions {
  readonly rules: Rules
  readonly frame: ObjectFrame
  /** A schema's values; null: there are none. */
  readonly valuePiece: (schema: Schema, path: string, name: string | null) => Piece | null
  /** A schema's names, as texts. */
  readonly namePiece: (schema: Schema, path: string) => Piece | null
}

interface Member {
  readonly piece: Piece
  readonly required: boolean
}

/** Null: no object fits. */
export function objectPiece(facts: Facts, options: ObjectOptions): Piece | null {
  const { rules, frame } = options
  const members = membersOf(facts, options)
  if (members === null) return null
  const others = othersOf(facts, options)
  checkCounts(facts, members, others !== null)
  if (others === null && facts.maxProperties === 0) return emptyObject(frame)
  const body = members.length === 0 ? null : memberList(rules, members, others, frame.separator)
  if (body !== null) return sequence(frame.open, body, frame.close)
  if (others === null) return emptyObject(frame)
  return onlyOthers(facts, others, options)
}

const emptyObject = ({ open, close }: ObjectFrame): Piece => sequence(open, close)

/** Null: a property that must be there cannot be. */
function membersOf(facts: Facts, options: ObjectOptions): Member[] | null {
  const members: Member[] = []
  for (const [name, schema] of allProperties(facts)) {
    const required = facts.required.has(name)
    const path = pathTo(pathTo(facts.path, 'properties'), name)
    const value = options.valuePiece(schema, path, name)
    if (value === null && required) return null
    if (value === null) continue
    const piece = options.frame.member(name, value)
    if (piece === null) {
      throw schemaError(path, 'has a name that this model’s calls cannot write')
    }
    members.push({ piece, required })
  }
  return members
}

/** Those that are required and not described are what further properties must be. */
function allProperties({ properties, required, extra }: Facts): ReadonlyMap<string, Schema> {
  const undescribed = [...required].filter((name) => !properties.has(name))
  return new Map([...properties, ...undescribed.map((name) => [name, extra ?? true] as const)])
}

/**
 * One further property; null: there are none. A schema that lists its properties and does not speak
 * of others gets no others: models would only invent them.
 */
function othersOf(
  facts: Facts,
  { rules, frame, valuePiece, namePiece }: ObjectOptions,
): Piece | null {
  const { path, properties, required, names } = facts
  const isListed = properties.size > 0
  const extra = facts.extra ?? !isListed
  if (extra === false || facts.maxProperties === 0) return null
  const value = valuePiece(extra, pathTo(path, 'additionalProperties'), null)
  if (value === null) return null
  const place = pathTo(path, 'propertyNames')
  if (names === null || isAnyText(names)) {
    return rules.add(
      'other-property',
      frame.other([...new Set([...properties.keys(), ...required])], value),
    )
  }
  if (isListed || required.size > 0 || frame.named === null) {
    throw schemaError(place, 'cannot be held to beside `properties` or `required`')
  }
  const name = namePiece(names, place)
  return name === null ? null : rules.add('other-property', frame.named(name, value))
}

/** `z.record(z.string(), …)` says that names are texts, which they are. */
const isAnyText = (names: Schema): boolean =>
  names === true ||
  (typeof names === 'object' &&
    names !== null &&
    Object.entries(names).every(([key, value]) => key === 'type' && value === 'string'))

function checkCounts(facts: Facts, members: readonly Member[], hasOthers: boolean): void {
  const { minProperties, maxProperties, path } = facts
  const needed = members.filter(({ required }) => required).length
  const countsOthers = members.length === 0 && hasOthers
  const isLowMet = minProperties <= Math.max(needed, countsOthers ? 1 : 0)
  const isHighMet =
    maxProperties === null || countsOthers || (!hasOthers && members.length <= maxProperties)
  if (isLowMet && isHighMet) return
  throw schemaError(
    pathTo(path, isLowMet ? 'maxProperties' : 'minProperties'),
    'counts properties in a way that no grammar can follow',
    'Say it with `required` and `additionalProperties: false`.',
  )
}

/** Equal names count once, so that only "none" and "at least one" can be told apart. */
function onlyOthers(facts: Facts, other: Piece, { rules, frame }: ObjectOptions): Piece {
  const more = facts.maxProperties === null ? null : facts.maxProperties - 1
  const further = rules.times(sequence(frame.separator, other), 0, more)
  const some = sequence(frame.open, other, further, frame.close)
  return facts.minProperties > 0 ? some : choice([emptyObject(frame), some])
}

/**
 * `rest` follows something, and each member in it brings its separator; `first` begins the list.
 * Both are as long as the list, however many members may be left out.
 */
function memberList(
  rules: Rules,
  members: readonly Member[],
  other: Piece | null,
  separator: Piece,
): Piece {
  const further = other === null ? '' : rules.times(sequence(separator, other), 0, null)
  let rest: Piece = further
  let first: Piece = other === null ? '' : optional(sequence(other, further))
  for (const { piece, required } of members.toReversed()) {
    const begun = sequence(piece, rest)
    first = required ? begun : rules.add('members', `${begun} | ${first === '' ? '""' : first}`)
    const next = sequence(separator, piece)
    const follows = sequence(required ? next : optional(next), rest)
    rest = follows === '""' ? '' : rules.add('members', follows)
  }
  return first
}
