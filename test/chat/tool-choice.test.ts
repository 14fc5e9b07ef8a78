import { describe, expect, it } from 'vitest'
import { readOpenFormat, readTextFormat } from '../../src/chat/text-format.ts'
import {
  freeChoice,
  offeredFunctions,
  offeredTools,
  readToolChoice,
  toConstraint,
} from '../../src/chat/tool-choice.ts'

const schema = { type: 'object', properties: { city: { type: 'string' } } }
const look = { type: 'function', function: { name: 'look', parameters: schema } }
const write = { type: 'function', function: { name: 'write', strict: true, parameters: schema } }
const tools = offeredFunctions([look, { type: 'web_search' }, write])
const path = 'structured_outputs.choice'
const text = { kind: 'choice', texts: ['yes', 'no'], path } as const
const plain = { text: null, tools: tools.slice(0, 1), choice: freeChoice, parallel: true }

describe('tools', () => {
  it('are read in the shapes of all dialects, with the places of their schemas', () => {
    expect(tools).toEqual([
      { name: 'look', schema, path: 'tools[0].function.parameters', strict: false },
      { name: 'write', schema, path: 'tools[2].function.parameters', strict: true },
    ])
    expect(offeredFunctions([{ type: 'function', name: 'f', parameters: {} }])).toMatchObject([
      { name: 'f', path: 'tools[0].parameters' },
    ])
    const bare = offeredFunctions([{ type: 'function', function: { name: 'f' } }])
    expect(bare[0]?.schema).toEqual({ type: 'object', properties: {}, additionalProperties: false })
    const anthropic = [
      { type: 'bash_20250124', name: 'bash' },
      { name: 'f', input_schema: schema },
    ]
    expect(offeredTools(anthropic)).toEqual([
      { name: 'f', schema, path: 'tools[1].input_schema', strict: false },
    ])
  })
})

describe('a choice of tools', () => {
  it('is read in every spelling', () => {
    const named = { mode: 'required', only: ['f'], once: true }
    expect(readToolChoice(undefined)).toEqual(freeChoice)
    expect(readToolChoice('none')).toEqual({ mode: 'none', only: null })
    expect(readToolChoice('any')).toEqual({ mode: 'required', only: null })
    expect(readToolChoice({ type: 'function', function: { name: 'f' } })).toEqual(named)
    expect(readToolChoice({ type: 'function', name: 'f' })).toEqual(named)
    const list = { mode: 'auto', tools: [{ type: 'function', name: 'f' }, { type: 'mcp' }] }
    const inChats = { mode: 'auto', tools: [{ type: 'function', function: { name: 'f' } }] }
    const some = { mode: 'auto', only: ['f'] }
    expect(readToolChoice({ type: 'allowed_tools', ...list })).toEqual(some)
    expect(readToolChoice({ type: 'allowed_tools', allowed_tools: inChats })).toEqual(some)
  })

  it('holds the answer to nothing where the model is free', () => {
    expect(toConstraint(plain)).toBe(null)
    expect(toConstraint({ ...plain, tools, choice: { mode: 'none', only: null } })).toBe(null)
  })

  it('holds calls to the schemas of strict tools, and to names alone with others', () => {
    expect(toConstraint({ ...plain, tools })).toEqual({
      text: null,
      calls: {
        required: false,
        parallel: true,
        tools: [
          { name: 'look', schema: null, path: 'tools[0].function.parameters' },
          { name: 'write', schema, path: 'tools[2].function.parameters' },
        ],
      },
    })
  })

  it('holds a call that must come to its schema, strict or not', () => {
    const choice = { mode: 'required', only: ['look'] } as const
    expect(toConstraint({ ...plain, text, tools, choice, parallel: false })).toEqual({
      text: null,
      calls: {
        required: true,
        parallel: false,
        tools: [{ name: 'look', schema, path: 'tools[0].function.parameters' }],
      },
    })
  })

  it('wants one call of a function that is forced by its name, and of others as many as come', () => {
    const byName = readToolChoice({ type: 'function', function: { name: 'look' } })
    const named = toConstraint({ ...plain, tools, choice: byName })
    expect(named).toMatchObject({ calls: { required: true, parallel: false } })
    const free = toConstraint({ ...plain, tools, choice: readToolChoice('required') })
    expect(free).toMatchObject({ calls: { required: true, parallel: true } })
  })

  it('leaves the model the choice between a format and a call', () => {
    expect(toConstraint({ ...plain, text })).toMatchObject({ text, calls: { required: false } })
    expect(toConstraint({ ...plain, text, choice: { mode: 'none', only: null } })).toEqual({
      text,
      calls: null,
    })
  })
})

describe('a format of text', () => {
  const inSchema = (path: string) => ({ kind: 'schema', schema, path })

  it('is read from every field that clients have for it', () => {
    const nested = { type: 'json_schema', json_schema: { name: 'a', schema } }
    expect(readTextFormat(nested, 'response_format')).toEqual(
      inSchema('response_format.json_schema.schema'),
    )
    expect(readTextFormat({ type: 'json_schema', schema }, 'text.format')).toEqual(
      inSchema('text.format.schema'),
    )
    expect(readTextFormat({ type: 'text' }, 'text.format')).toBe(null)
    expect(readTextFormat({ type: 'json_object' }, 'f')).toMatchObject({
      schema: { type: 'object' },
    })
    expect(readOpenFormat({ json_schema: schema })).toEqual(inSchema('json_schema'))
    expect(readOpenFormat({ guided_json: JSON.stringify(schema) })).toEqual(inSchema('guided_json'))
    expect(readOpenFormat({ structured_outputs: { json: schema } })).toEqual(
      inSchema('structured_outputs.json'),
    )
    const regex = { kind: 'regex', pattern: 'a+', path: 'guided_regex' }
    expect(readOpenFormat({ guided_regex: 'a+' })).toEqual(regex)
    expect(readOpenFormat({ structured_outputs: { choice: ['yes', 'no'] } })).toEqual(text)
    expect(readOpenFormat({ grammar: 'root ::= "a"' })).toEqual({
      kind: 'grammar',
      grammar: 'root ::= "a"',
      path: 'grammar',
    })
    expect(readOpenFormat({ grammar: '', response_format: { type: 'text' } })).toBe(null)
  })
})
