/** What visible text must be → a piece of a grammar. */
import type { TextConstraint } from '../../pipeline/types.ts'
import { everyChar } from './char-set.ts'
import { charClass, choice, literal, type Piece, type Rules } from './gbnf.ts'
import { givenRoot } from './given-grammar.ts'
import { jsonNotation } from './notation.ts'
import { patternPiece, readPattern } from './pattern.ts'
import { createSchemaWriter } from './schema.ts'
import { checkPattern, readDocument, type SchemaLimits } from './schema-document.ts'
import { schemaError } from './schema-error.ts'

/** Throws PREFIXD_E_SCHEMA. */
export function textPiece(rules: Rules, text: TextConstraint, limits: SchemaLimits): Piece {
  if (text.kind === 'grammar') return givenRoot
  if (text.kind === 'choice') return choice(text.texts.map(literal))
  const piece = text.kind === 'regex' ? ofRegex(rules, text, limits) : ofSchema(rules, text, limits)
  if (piece === null) throw schemaError(text.path, 'fits no answer')
  return piece
}

type Of<K extends TextConstraint['kind']> = Extract<TextConstraint, { readonly kind: K }>

/** The whole answer matches it, with or without anchors. */
function ofRegex(rules: Rules, { pattern, path }: Of<'regex'>, limits: SchemaLimits): Piece | null {
  checkPattern(pattern, path, limits)
  const anyChar = charClass(everyChar)
  const char = (set: Parameters<typeof charClass>[0]): Piece | null =>
    set.length === 0 ? null : charClass(set)
  return patternPiece(rules, readPattern(pattern, path), path, { match: 'whole', char, anyChar })
}

function ofSchema(rules: Rules, { schema, path }: Of<'schema'>, limits: SchemaLimits) {
  const document = readDocument(schema, path, limits)
  return createSchemaWriter(rules, jsonNotation(rules), document).value(schema, path)
}
