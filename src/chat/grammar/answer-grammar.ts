/**
 * What an answer must be → the GBNF that the whole answer follows: reasoning as the model's family
 * writes it, then text or calls in the family's markup. Pure.
 */
import type { AnswerConstraint } from '../../pipeline/types.ts'
import type { AnswerFormat } from '../answer/types.ts'
import { callPieces } from './call-grammar.ts'
import { type CallMarkup, callMarkupOf } from './call-markup.ts'
import { freeText } from './free-text.ts'
import {
  choice,
  createRules,
  literal,
  optional,
  type Piece,
  type RuleLimits,
  type Rules,
  sequence,
} from './gbnf.ts'
import { renameRoot } from './given-grammar.ts'
import type { SchemaLimits } from './schema-document.ts'
import { schemaError } from './schema-error.ts'
import { textPiece } from './text-constraint.ts'

export interface AnswerSetting {
  /** Null for prompts that are no chats: nothing in their answers is markup. */
  readonly format: AnswerFormat | null
  /** The end of the rendered prompt, where a template may have begun the model's reasoning. */
  readonly promptEnd: string
  readonly limits: SchemaLimits & RuleLimits
}

/** Throws PREFIXD_E_SCHEMA, naming the path in the client's body. */
export function answerGrammar(constraint: AnswerConstraint, setting: AnswerSetting): string {
  const { text } = constraint
  const given = text?.kind === 'grammar' ? text.grammar : null
  if (given !== null && isBare(constraint, setting)) return given
  const rules = createRules(
    setting.limits,
    (problem) => schemaError(pathOf(constraint), problem),
    given === null ? '' : 'prefixd-',
  )
  const root = answerPiece(rules, constraint, setting)
  // The client's own rules come first, so that errors name the client's own lines.
  return given === null ? rules.text(root) : `${renameRoot(given)}\n${rules.text(root)}`
}

/** What a grammar as a whole comes from, where no single part of it is to blame. */
export const pathOf = ({ text }: AnswerConstraint): string => text?.path ?? 'tools'

/** Nothing stands before or beside what the client's grammar describes. */
const isBare = ({ calls }: AnswerConstraint, { format }: AnswerSetting): boolean =>
  format === null || (calls === null && !format.reasons)

function answerPiece(rules: Rules, constraint: AnswerConstraint, setting: AnswerSetting): Piece {
  const { format, promptEnd, limits } = setting
  const { text, calls } = constraint
  if (format === null) return text === null ? anyText(rules) : textPiece(rules, text, limits)
  if (format.name === 'harmony') return harmonyAnswer(rules, constraint, format, limits)
  const reasoning = reasoningPiece(rules, format, promptEnd)
  if (calls === null) {
    return sequence(reasoning, text === null ? anyText(rules) : textPiece(rules, text, limits))
  }
  const markup = callMarkupOf(format)
  const pieces = callPieces(rules, markup, calls, limits)
  if (calls.required) return sequence(reasoning, pieces.whole)
  if (text !== null)
    return sequence(reasoning, choice([textPiece(rules, text, limits), pieces.whole]))
  return sequence(reasoning, freeAnswer(rules, markup, pieces, format))
}

const anyText = (rules: Rules): Piece => freeText(rules, [], { mayEnd: true })

/** Free text until a call's marker; without a marker, text that does not begin like a call. */
function freeAnswer(
  rules: Rules,
  markup: CallMarkup,
  pieces: ReturnType<typeof callPieces>,
  format: AnswerFormat,
): Piece {
  const forbidden = markup.alsoCalls.map((text) => ({ text, behind: null }))
  const marked =
    markup.marker === null ? [] : [{ text: markup.marker, behind: pieces.behindMarker }]
  // Reasoning that begins behind text is text to the reader too, but not at the very beginning.
  const reasoning = format.reasoning === null ? [] : [{ text: format.reasoning.open, behind: null }]
  const text = freeText(rules, [...marked, ...forbidden, ...reasoning], {
    mayEnd: true,
    notFirst: markup.notFirst,
  })
  return choice([text, ...(markup.marker === null ? [pieces.whole] : [])])
}

/** What may stand before the answer; '' where the model does not reason here. */
function reasoningPiece(rules: Rules, format: AnswerFormat, promptEnd: string): Piece {
  const tags = format.reasoning
  const end = promptEnd.trimEnd()
  if (tags === null || end.endsWith(tags.close)) return ''
  const thought = freeText(rules, [{ text: tags.close, behind: '"\\n"{0,2}' }], { mayEnd: false })
  if (end.endsWith(tags.open)) return thought
  return optional(sequence(literal(tags.open), thought))
}

const messageMarks = [
  '<|start|>',
  '<|channel|>',
  '<|message|>',
  '<|end|>',
  '<|call|>',
  '<|return|>',
]

/** gpt-oss: reasoning is a message of its own, and the answer is one in another channel. */
function harmonyAnswer(
  rules: Rules,
  { text, calls }: AnswerConstraint,
  format: AnswerFormat,
  limits: SchemaLimits,
): Piece {
  const others = (marks: readonly string[]) => marks.map((mark) => ({ text: mark, behind: null }))
  const thought = freeText(
    rules,
    [
      { text: '<|end|>', behind: '"<|start|>assistant"' },
      ...others(messageMarks.filter((mark) => mark !== '<|end|>')),
    ],
    { mayEnd: false },
  )
  const reasoning = optional(sequence(literal('<|channel|>analysis<|message|>'), thought))
  const said = (): Piece =>
    text === null
      ? freeText(rules, others(messageMarks), { mayEnd: true })
      : textPiece(rules, text, limits)
  const final = (): Piece => sequence(literal('<|channel|>final<|message|>'), said())
  if (calls === null) return sequence(reasoning, final())
  const { whole } = callPieces(rules, callMarkupOf(format), calls, limits)
  return sequence(reasoning, calls.required ? whole : choice([final(), whole]))
}
