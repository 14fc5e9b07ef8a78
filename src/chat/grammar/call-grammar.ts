/** Calls as a grammar: each of the tools, with arguments that obey its schema. */
import type { CallConstraint, ConstrainedTool } from '../../pipeline/types.ts'
import { isTextArgument } from '../answer/typed-arguments.ts'
import type { CallMarkup } from './call-markup.ts'
import { choice, literal, type Piece, type Rules, sequence } from './gbnf.ts'
import { bareTextNotation } from './marked-notations.ts'
import { createSchemaWriter, type SchemaWriter, type ValueWriter } from './schema.ts'
import { readDocument, type Schema, type SchemaLimits } from './schema-document.ts'
import { schemaError } from './schema-error.ts'

export interface CallPieces {
  /** All calls, from the first character of their markup. */
  readonly whole: Piece
  /** The same behind the marker that they begin with. */
  readonly behindMarker: Piece
}

/** Throws PREFIXD_E_SCHEMA for schemas and names that this markup cannot be held to. */
export function callPieces(
  rules: Rules,
  markup: CallMarkup,
  { tools, parallel }: CallConstraint,
  limits: SchemaLimits,
): CallPieces {
  const marker = markup.marker ?? ''
  const calls = tools.map((tool) => ({
    head: (open: string) => `${open}${markup.before(tool.name)}`,
    rest: sequence(argumentsOf(rules, markup, tool, limits), literal(markup.after)),
  }))
  const first = (skipped: number): Piece =>
    choice(calls.map(({ head, rest }) => sequence(literal(head(markup.open).slice(skipped)), rest)))
  const more =
    parallel && markup.single !== true
      ? `(${choice(calls.map(({ head, rest }) => sequence(literal(head(markup.between)), rest)))})*`
      : ''
  const all = (skipped: number): Piece => sequence(first(skipped), more, literal(markup.close))
  return {
    whole: rules.add('calls', all(0)),
    behindMarker: rules.add('calls', all(marker.length)),
  }
}

function argumentsOf(
  rules: Rules,
  markup: CallMarkup,
  tool: ConstrainedTool,
  limits: SchemaLimits,
): Piece {
  if (!markup.names.test(tool.name)) {
    throw schemaError(tool.path, 'is of a tool whose name this model’s calls cannot write')
  }
  const schema = tool.schema ?? { type: 'object' }
  const document = readDocument(schema, tool.path, limits)
  const notation = markup.notation(rules)
  const writer = createSchemaWriter(rules, notation, document)
  const value: ValueWriter =
    markup.argumentEnds === null
      ? writer.value
      : bareValues(tool, writer, markup.argumentEnds, (end, shorter) =>
          createSchemaWriter(rules, bareTextNotation(rules, end, shorter), document),
        )
  const frame = markup.frame(rules) ?? notation.object
  const piece = writer.object(schema, tool.path, frame, value)
  if (piece === null) throw schemaError(tool.path, 'fits no object')
  return rules.add(`arguments-${tool.name}`, piece)
}

/** Where the reader takes an argument for text, it stands bare; others are JSON. */
function bareValues(
  { name: toolName, schema: parameters }: ConstrainedTool,
  writer: SchemaWriter,
  [end = '', ...shorterEnds]: readonly string[],
  textWriter: (end: string, shorterEnds: readonly string[]) => SchemaWriter,
): ValueWriter {
  const text = textWriter(end, shorterEnds)
  return (schema: Schema, path, name) => {
    if (name !== null && isTextArgument({ name: toolName, parameters }, name)) {
      return text.value(schema, path)
    }
    const piece = writer.value(schema, path)
    return piece === null ? null : sequence(piece, literal(end))
  }
}
