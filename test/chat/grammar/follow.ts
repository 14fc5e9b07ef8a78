import { parseGbnf } from '../../../engines/gbnf.ts'
import { createMatcher } from '../../../engines/gbnf-matcher.ts'
import { createRules } from '../../../src/chat/grammar/gbnf.ts'
import { jsonNotation } from '../../../src/chat/grammar/notation.ts'
import { createSchemaWriter } from '../../../src/chat/grammar/schema.ts'
import { readDocument } from '../../../src/chat/grammar/schema-document.ts'
import { schemaError } from '../../../src/chat/grammar/schema-error.ts'
import { limits } from '../../../src/config/limits.ts'

/** GBNF of a schema's JSON values. */
export function schemaToGbnf(schema: unknown): string {
  const rules = createRules(limits, (problem) => schemaError('schema', problem))
  const document = readDocument(schema, 'schema', limits)
  const piece = createSchemaWriter(rules, jsonNotation(rules), document).value(schema, 'schema')
  if (piece === null) throw schemaError('schema', 'fits no value')
  return rules.text(piece)
}

/** Does the grammar read the whole text? */
export function createFollower(gbnf: string): (text: string) => boolean {
  const grammar = parseGbnf(gbnf)
  return (text) => {
    const matcher = createMatcher(grammar)
    const bytes = new TextEncoder().encode(text)
    if (!matcher.allows(bytes)) return false
    matcher.accept(bytes)
    return matcher.isComplete
  }
}
