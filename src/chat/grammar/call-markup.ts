/**
 * How each family writes calls, as far as a grammar has to know: what they begin with, what stands
 * between and around them, and how the arguments of one are written. Counterpart of the readers in
 * src/chat/answer/.
 */
import type { AnswerFormat } from '../answer/types.ts'
import { type CharSet, charsOf } from './char-set.ts'
import { literal, type Piece, type Rules, sequence } from './gbnf.ts'
import { escapedJsonNotation, gemmaNotation } from './marked-notations.ts'
import {
  jsonNotation,
  type Notation,
  type ObjectFrame,
  otherIdentifier,
  pythonNotation,
} from './notation.ts'

export interface CallMarkup {
  /** Before all calls, between two of them, and behind the last one. */
  readonly open: string
  readonly between: string
  readonly close: string
  /** One call up to its arguments, and what follows them. */
  before(name: string): string
  readonly after: string
  /** Only one call can be made in one answer. */
  readonly single?: boolean
  /** Names that the reader would not take for one. */
  readonly names: RegExp
  /** What the arguments stand in; null: an object of the notation. */
  frame(rules: Rules): ObjectFrame | null
  notation(rules: Rules): Notation
  /**
   * What ends one argument: as it is written, and shorter forms that the reader takes too. Then
   * arguments that the tool's schema calls text stand bare. Null: they are written as all values.
   */
  readonly argumentEnds: readonly string[] | null
  /** Every call begins with it; null: a call is an answer that begins like one. */
  readonly marker: string | null
  /** What free text may not have, and not begin with, lest it be read as a call. */
  readonly alsoCalls: readonly string[]
  readonly notFirst: CharSet
}

const anyName = /^\P{Cc}{1,256}$/u
const wordName = /^[\w.-]+$/
const jsonStart = charsOf('{[` \t\r\n')

const json = {
  open: '',
  between: '\n',
  close: '',
  names: anyName,
  frame: () => null,
  notation: (rules: Rules) => jsonNotation(rules),
  argumentEnds: null,
  marker: null,
  alsoCalls: [],
  notFirst: [],
}

/** From the family's frame of one call. */
function framed(format: AnswerFormat, changes: Partial<CallMarkup>): CallMarkup {
  const { callFrame } = format
  if (callFrame === null) throw new Error(`${format.name} has no frame for calls`)
  return { ...json, before: callFrame.before, after: callFrame.after, ...changes }
}

const hermes = (format: AnswerFormat): CallMarkup =>
  framed(format, { marker: '<tool_call>', notFirst: jsonStart })

const mistral = (format: AnswerFormat): CallMarkup => {
  const marker = '[TOOL_CALLS]'
  const isList = format.callFrame?.after !== ''
  if (!isList) return framed(format, { marker, between: '', names: wordName })
  const before = (name: string): string => `{"name": ${JSON.stringify(name)}, "arguments": `
  return { ...json, marker, open: `${marker}[`, before, after: '}', between: ', ', close: ']' }
}

const deepseek = (format: AnswerFormat): CallMarkup => {
  const marker = '<｜tool▁calls▁begin｜>'
  const close = '<｜tool▁calls▁end｜>'
  const { before, after } = framed(format, {})
  return {
    ...json,
    marker,
    open: marker,
    before: (name) => before(name).slice(marker.length),
    after: after.slice(0, -close.length),
    close,
    names: wordName,
  }
}

const lfm2 = (): CallMarkup => ({
  ...json,
  marker: '<|tool_call_start|>',
  open: '<|tool_call_start|>[',
  before: (name) => name,
  after: '',
  between: ', ',
  close: ']<|tool_call_end|>',
  names: wordName,
  notation: pythonNotation,
  frame: (rules) => ({
    open: '"("',
    close: '")"',
    separator: '", "',
    member: (name, value) => (wordName.test(name) ? sequence(literal(`${name}=`), value) : null),
    other: (taken, value) => sequence(otherIdentifier(rules, taken), '"="', value),
    named: null,
  }),
})

/** Arguments one by one, each between tags of its own. */
function tagged(rules: Rules, open: (name: Piece) => Piece): ObjectFrame {
  return {
    open: '',
    close: '',
    separator: '',
    member: (name, value) =>
      /^[\w.$-]+$/.test(name) ? sequence(open(literal(name)), value) : null,
    other: (taken, value) => sequence(open(otherIdentifier(rules, taken)), value),
    named: null,
  }
}

const qwenCoder = (): CallMarkup => ({
  ...json,
  marker: '<tool_call>',
  before: (name) => `<tool_call>\n<function=${name}>\n`,
  after: '</function>\n</tool_call>',
  names: /^[^\p{Cc}<>]{1,128}$/u,
  alsoCalls: ['<function='],
  notation: escapedJsonNotation,
  argumentEnds: ['\n</parameter>\n', '\n</parameter>', '</parameter>'],
  frame: (rules) => tagged(rules, (name) => sequence('"<parameter="', name, '">\\n"')),
})

const glm = (): CallMarkup => ({
  ...json,
  marker: '<tool_call>',
  before: (name) => `<tool_call>${name}\n`,
  after: '</tool_call>',
  names: wordName,
  notation: escapedJsonNotation,
  argumentEnds: ['</arg_value>\n', '</arg_value>'],
  frame: (rules) =>
    tagged(rules, (name) => sequence('"<arg_key>"', name, '"</arg_key>\\n<arg_value>"')),
})

const gemma = (open: string, close: string, mark: string) => (): CallMarkup => ({
  ...json,
  marker: open,
  before: (name) => `${open}call:${name}`,
  after: close,
  between: '',
  names: wordName,
  notation: (rules) => gemmaNotation(rules, mark),
})

/** gpt-oss ends its answer behind a call, with a token that is the answer's end. */
const harmony = (format: AnswerFormat): CallMarkup =>
  framed(format, { after: '', single: true, names: wordName })

const markups: Readonly<Record<string, (format: AnswerFormat) => CallMarkup>> = {
  gemma4: gemma('<|tool_call>', '<tool_call|>', '<|"|>'),
  'function-gemma': gemma('<start_function_call>', '<end_function_call>', '<escape>'),
  deepseek,
  lfm2,
  mistral,
  glm,
  'qwen-coder': qwenCoder,
  hermes,
  llama3: (format) =>
    framed(format, { alsoCalls: ['<|python_tag|>', '<function='], notFirst: jsonStart }),
  json: (format) => framed(format, { alsoCalls: ['<|tool_call|>', '\n{'], notFirst: jsonStart }),
  harmony,
}

export function callMarkupOf(format: AnswerFormat): CallMarkup {
  const markup = markups[format.name]
  if (markup === undefined) throw new Error(`no grammar is known for calls of ${format.name}`)
  return markup(format)
}
