/** The strongest test of a grammar: whatever it writes, the family's own reader reads as meant. */
import fc from 'fast-check'
import { Compile } from 'typebox/schema'
import { describe, expect, test } from 'vitest'
import { parseGbnf } from '../../../engines/gbnf.ts'
import { answerFormatOf } from '../../../src/chat/answer/format.ts'
import { answerGrammar } from '../../../src/chat/grammar/answer-grammar.ts'
import { limits } from '../../../src/config/limits.ts'
import { PrefixdError } from '../../../src/errors.ts'
import type { AnswerConstraint, CallConstraint } from '../../../src/pipeline/types.ts'
import { createTextWriter } from '../../support/grammar-text.ts'
import { joined, type Read } from '../answer/read-answer.ts'
import { argumentSchemas } from './schemas.ts'

interface Model {
  readonly template: string
  readonly promptEnd?: string
}

const harmony = { template: '<|start|> <|channel|>', promptEnd: '<|start|>assistant' }
const models: readonly (readonly [string, Model])[] = [
  ['hermes', { template: '<tool_call>' }],
  ['hermes that may think', { template: '<tool_call> <think>' }],
  ['hermes that thinks', { template: '<tool_call> <think>', promptEnd: 'assistant\n<think>\n' }],
  ['hermes that has thought', { template: '<tool_call></think>', promptEnd: '</think>\n\n' }],
  ['qwen-coder', { template: '<tool_call> <function=' }],
  ['glm', { template: '<tool_call> <arg_key> <think>' }],
  ['llama3', { template: '<|start_header_id|> "parameters"' }],
  ['mistral lists', { template: '[TOOL_CALLS]' }],
  ['mistral arguments', { template: '[TOOL_CALLS] [ARGS] [THINK]' }],
  ['deepseek', { template: '<｜tool▁call▁begin｜> <think>' }],
  ['deepseek fenced', { template: '<｜tool▁call▁begin｜> ```json' }],
  ['lfm2', { template: '<|tool_call_start|> <|tool_list_start|>' }],
  ['gemma4', { template: '<|tool_call>' }],
  ['function-gemma', { template: '<start_function_call>' }],
  ['gpt-oss', harmony],
  ['json', { template: '' }],
]

const draws = fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true }))
const names = ['get_weather', 'write-file', 'f']

/** Null where this family cannot write such names or values, and says so. */
function grammarOf(model: Model, constraint: AnswerConstraint): string | null {
  const format = answerFormatOf(model.template)
  try {
    return answerGrammar(constraint, { format, promptEnd: model.promptEnd ?? '', limits })
  } catch (error) {
    if (!(error instanceof PrefixdError) || error.code !== 'PREFIXD_E_SCHEMA') throw error
    expect(error.message).toMatch(/model’s calls (cannot|can)|which calls cannot/)
    expect(error.field).toMatch(/^tools\[\d\]/)
    expect(format.callFrame).toBe(null)
    return null
  }
}

function read(model: Model, { tools }: CallConstraint, answer: string): Read {
  const shapes = tools.map(({ name, schema }) => ({ name, parameters: schema }))
  const promptEnd = model.promptEnd ?? ''
  const parser = answerFormatOf(model.template).parser({ tools: shapes, promptEnd })
  if (parser === null) throw new Error('this family reads nothing here')
  return joined([...parser.push(answer), ...parser.end()])
}

function toolsOf(schemas: readonly unknown[]): CallConstraint['tools'] {
  return schemas.map((schema, index) => {
    return { name: names[index] ?? 'g', schema, path: `tools[${index}].parameters` }
  })
}

function expectObedient({ tools }: CallConstraint, { calls }: Read, answer: string): void {
  for (const [name, json] of calls) {
    const schema = tools.find((tool) => tool.name === name)?.schema
    expect(schema, answer).toBeDefined()
    expect(Compile(schema as object).Check(JSON.parse(json)), answer).toBe(true)
  }
}

describe.each(models)('a grammar for %s', (_name, model) => {
  const schemas = fc.array(argumentSchemas, { minLength: 1, maxLength: 3 })

  test('writes nothing but calls that obey their schemas, as many as are allowed', () => {
    let written = 0
    fc.assert(
      fc.property(schemas, fc.boolean(), draws, fc.nat(80), (all, parallel, stream, symbols) => {
        const calls = { required: true, parallel, tools: toolsOf(all) }
        const grammar = grammarOf(model, { text: null, calls })
        if (grammar === null) return
        written += 1
        const answer = createTextWriter(parseGbnf(grammar), () => stream.next().value)(symbols)
        const found = read(model, calls, answer)
        expect(found.text, answer).toBe('')
        expect(found.calls.length, answer).toBeGreaterThan(0)
        if (!parallel) expect(found.calls.length, answer).toBe(1)
        expectObedient(calls, found, answer)
      }),
      { numRuns: 25 },
    )
    expect(written).toBeGreaterThan(0)
  })

  test('that need not call writes text, or calls that obey', () => {
    fc.assert(
      fc.property(schemas, draws, fc.nat(200), (all, stream, symbols) => {
        const calls = { required: false, parallel: true, tools: toolsOf(all) }
        const grammar = grammarOf(model, { text: null, calls })
        if (grammar === null) return
        const answer = createTextWriter(parseGbnf(grammar), () => stream.next().value)(symbols)
        expectObedient(calls, read(model, calls, answer), answer)
      }),
      { numRuns: 25 },
    )
  })

  test('holds visible text to a schema, behind whatever the model thinks', () => {
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
    const text = { kind: 'schema', schema, path: 'response_format' } as const
    const calls = { required: false, parallel: false, tools: toolsOf([{ type: 'object' }]) }
    fc.assert(
      fc.property(draws, fc.nat(60), fc.boolean(), (stream, symbols, hasTools) => {
        const constraint = { text, calls: hasTools ? calls : null }
        const grammar = grammarOf(model, constraint) ?? ''
        const answer = createTextWriter(parseGbnf(grammar), () => stream.next().value)(symbols)
        const found = read(model, calls, answer)
        if (hasTools && found.calls.length > 0) expect(found.text, answer).toBe('')
        else expect(Compile(schema).Check(JSON.parse(found.text)), answer).toBe(true)
      }),
      { numRuns: 15 },
    )
  })
})
