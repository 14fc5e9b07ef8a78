/** Which family a chat template belongs to, by the words in it that only that family uses. */
import { deepseek, deepseekFencedFrame, deepseekFrame } from './deepseek.ts'
import { functionGemma, gemma4 } from './gemma.ts'
import { glm } from './glm.ts'
import { harmonyFrame, harmonyParser } from './harmony.ts'
import { hermes, hermesFrame, qwenCoder } from './hermes.ts'
import { jsonFallback, jsonFrame } from './json-fallback.ts'
import { lfm2, writePythonCalls } from './lfm2.ts'
import { llama3, llama3Frame } from './llama3.ts'
import { mistral, mistralArgsFrame, mistralListFrame, mistralReasoning } from './mistral.ts'
import { type Family, familyParser, type ReasoningTags } from './reader.ts'
import type { AnswerFormat, CallFrame, WrittenCall } from './types.ts'

interface Known {
  readonly name: string
  readonly writes: (template: string) => boolean
  readonly family: Family
  readonly frame: (template: string) => CallFrame | null
  /** Where calls have no frame and there are templates that do not write them. */
  readonly write?: (calls: readonly WrittenCall[]) => string
}

const has = (word: string) => (template: string) => template.includes(word)
const framed = ({ before, after }: CallFrame, calls: readonly WrittenCall[]): string =>
  calls.map((call) => `${before(call.name)}${call.arguments}${after}`).join('\n')
const always = (frame: CallFrame | null) => () => frame

/** The first that fits; the more particular ones come first. */
const families: readonly Known[] = [
  { name: 'gemma4', writes: has('<|tool_call>'), family: gemma4, frame: always(null) },
  {
    name: 'function-gemma',
    writes: has('<start_function_call>'),
    family: functionGemma,
    frame: always(null),
  },
  {
    name: 'deepseek',
    writes: has('<｜tool▁call▁begin｜>'),
    family: deepseek,
    frame: (template) => (template.includes('```json') ? deepseekFencedFrame : deepseekFrame),
  },
  {
    name: 'lfm2',
    writes: (template) => /<\|tool_(call|list)_start\|>/.test(template),
    family: lfm2,
    frame: always(null),
    write: writePythonCalls,
  },
  {
    name: 'mistral',
    writes: has('[TOOL_CALLS]'),
    family: mistral,
    frame: (template) => (template.includes('[ARGS]') ? mistralArgsFrame : mistralListFrame),
  },
  { name: 'glm', writes: has('<arg_key>'), family: glm, frame: always(null) },
  {
    name: 'qwen-coder',
    writes: (template) => template.includes('<tool_call>') && template.includes('<function='),
    family: qwenCoder,
    frame: always(null),
    // Its templates ask for a filter that our Jinja lacks; the model knows this form too.
    write: (calls) => framed(hermesFrame, calls),
  },
  { name: 'hermes', writes: has('<tool_call>'), family: hermes, frame: always(hermesFrame) },
  {
    name: 'llama3',
    writes: (template) =>
      template.includes('<|python_tag|>') ||
      (template.includes('<|start_header_id|>') && template.includes('"parameters"')),
    family: llama3,
    frame: always(llama3Frame),
  },
]

const fallback: Known = {
  name: 'json',
  writes: () => true,
  family: jsonFallback,
  frame: always(jsonFrame),
}

const thinkTags: ReasoningTags = { open: '<think>', close: '</think>' }

function reasoningOf(template: string, family: Family): ReasoningTags | null {
  if (family.reasoning !== null) return family.reasoning
  if (template.includes('[THINK]')) return mistralReasoning
  return template.includes('</think>') || template.includes('<think>') ? thinkTags : null
}

/** Pure and cheap: a few searches in the template. Null is a model without a template. */
export function answerFormatOf(template: string | null): AnswerFormat {
  const source = template ?? ''
  if (source.includes('<|channel|>') && source.includes('<|start|>')) {
    return {
      name: 'harmony',
      callFrame: harmonyFrame,
      reasons: true,
      reasoning: null,
      write: (text, calls) => `${text}${framed(harmonyFrame, calls)}`,
      parser: harmonyParser,
    }
  }
  const known = families.find(({ writes }) => writes(source)) ?? fallback
  const family = { ...known.family, reasoning: reasoningOf(source, known.family) }
  const callFrame = known.frame(source)
  const joint = '\n'.repeat(family.jointNewlines ?? 0)
  const writeCalls = known.write ?? ((calls) => framed(callFrame ?? jsonFrame, calls))
  return {
    name: known.name,
    callFrame,
    reasons: family.reasoning !== null,
    reasoning: family.reasoning,
    write: (text, calls) => text + (text === '' ? '' : joint) + writeCalls(calls),
    parser: (options) => familyParser(family, options),
  }
}
