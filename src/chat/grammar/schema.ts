/**
 * JSON schema → GBNF. What the grammar allows always obeys the schema; it may be narrower (the
 * order of properties, spellings of numbers), and what cannot be held to is refused by its path.
 * Pure.
 */
import { arrayPiece } from './arrays.ts'
import { createExpander, plainReference, plainUnion } from './expand.ts'
import { type Facts, isObject, type JsonType } from './facts.ts'
import { fits } from './fits.ts'
import { alternatives, choice, literal, type Piece, type Rules } from './gbnf.ts'
import type { Notation, ObjectFrame } from './notation.ts'
import { numberPiece } from './numbers.ts'
import { objectPiece } from './objects.ts'
import type { Schema, SchemaDocument } from './schema-document.ts'
import { schemaError } from './schema-error.ts'
import { stringPiece } from './strings.ts'

export interface SchemaWriter {
  /** Null: nothing fits the schema. Throws PREFIXD_E_SCHEMA. */
  value(schema: Schema, path: string): Piece | null
  /** An object of the schema in a frame of its own, as calls write their arguments. */
  object(schema: Schema, path: string, frame: ObjectFrame, valuePiece: ValueWriter): Piece | null
}

export type ValueWriter = (schema: Schema, path: string, name: string | null) => Piece | null

interface Known {
  /** Set when it is asked for before it is known. */
  name: Piece | null
  piece: Piece | null | undefined
}

const everyType: readonly JsonType[] = ['object', 'array', 'string', 'number', 'boolean', 'null']

/** Longer pieces get a rule of their own. */
const inlineChars = 80

export function createSchemaWriter(
  rules: Rules,
  notation: Notation,
  document: SchemaDocument,
): SchemaWriter {
  const { expand } = createExpander(document)
  const knownSchemas = new Map<Schema, Known>()
  /** Schemas of the same value, one inside of the other: none of them may come again. */
  let sameValue = new Set<Schema>()

  function value(schema: Schema, fallback: string): Piece | null {
    const path = document.pathOf(schema, fallback)
    const key = isEmpty(schema) ? true : schema
    const known = knownSchemas.get(key)
    if (known?.piece !== undefined) return known.piece
    if (sameValue.has(key)) throw schemaError(path, 'refers to itself without end')
    if (known !== undefined) {
      known.name ??= rules.reserve('value')
      return known.name
    }
    const entry: Known = { name: null, piece: undefined }
    knownSchemas.set(key, entry)
    sameValue.add(key)
    const piece = named(write(key, path), entry, path)
    sameValue.delete(key)
    entry.piece = piece
    return piece
  }

  function named(piece: Piece | null, entry: Known, path: string): Piece | null {
    if (entry.name !== null) {
      if (piece === null) throw schemaError(path, 'fits no value')
      rules.define(entry.name, piece)
      return entry.name
    }
    return piece !== null && piece.length > inlineChars ? rules.add('value', piece) : piece
  }

  function write(schema: Schema, path: string): Piece | null {
    if (isObject(schema)) {
      const reference = plainReference(schema)
      if (reference !== null) return value(document.resolve(reference, path), path)
      const union = plainUnion(schema, path)
      if (union !== null) return oneOfThem(union.map((part) => value(part, path)))
    }
    return oneOfThem(expand(schema, path).map(writeFacts))
  }

  /** Values inside of this one begin anew: something stands before them. */
  function inside<T>(work: () => T): T {
    const outer = sameValue
    sameValue = new Set()
    try {
      return work()
    } finally {
      sameValue = outer
    }
  }
  const innerValue = (schema: Schema, path: string): Piece | null =>
    inside(() => value(schema, path))

  function writeFacts(facts: Facts): Piece | null {
    if (facts.values !== null) return listed(facts, facts.values)
    const types = facts.types ?? everyType
    const isNumber = types.includes('number')
    return oneOfThem(
      types.filter((type) => type !== 'integer' || !isNumber).map((type) => writeType(type, facts)),
    )
  }

  function writeType(type: JsonType, facts: Facts): Piece | null {
    const { words } = notation
    if (type === 'string') return stringPiece(rules, facts, notation)
    if (type === 'number') return numberPiece(rules, facts, false)
    if (type === 'integer') return numberPiece(rules, facts, true)
    if (type === 'boolean') return choice([literal(words.true), literal(words.false)])
    if (type === 'null') return literal(words.null)
    if (type === 'array') {
      return arrayPiece(facts, { rules, frame: notation.array, valuePiece: innerValue })
    }
    return writeObject(facts, notation.object, innerValue)
  }

  function writeObject(facts: Facts, frame: ObjectFrame, valuePiece: ValueWriter): Piece | null {
    const namePiece = (schema: Schema, path: string): Piece | null =>
      oneOfThem(
        inside(() => expand(schema, path)).map((names) =>
          writeFacts({ ...names, types: ['string'] }),
        ),
      )
    return objectPiece(facts, { rules, frame, valuePiece, namePiece })
  }

  function listed(facts: Facts, values: readonly unknown[]): Piece | null {
    const written = values
      .filter((each) => fits(each, facts))
      .map((each) => {
        const text = notation.value(each)
        if (text !== null) return literal(text)
        throw schemaError(facts.path, 'lists a value that this model’s calls cannot write')
      })
    if (written.length < 2) return oneOfThem(written)
    return rules.add('one-of', alternatives(written))
  }

  return {
    value: (schema, path) => inside(() => value(schema, path)),
    object(schema, path, frame, valuePiece) {
      const all = inside(() => expand(schema, path))
      const objects = all.filter(({ types, values: listedValues }) => {
        const isListed = listedValues !== null
        if (isListed) throw schemaError(path, 'lists whole objects, which calls cannot be held to')
        return types === null || types.includes('object')
      })
      return oneOfThem(objects.map((facts) => writeObject(facts, frame, valuePiece)))
    },
  }
}

const isEmpty = (schema: Schema): boolean => isObject(schema) && Object.keys(schema).length === 0

function oneOfThem(pieces: readonly (Piece | null)[]): Piece | null {
  const some = pieces.filter((piece) => piece !== null)
  return some.length === 0 ? null : choice(some)
}
