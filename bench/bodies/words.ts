/**
 * What agents write into the fields that schemas leave open. One value serves every dialect where
 * that can be: a tool has the fields of all three, and each route reads its own.
 */
import fc from 'fast-check'
import { patterns, schemas } from './schemas.ts'
import type { Json } from './values.ts'

type Words = fc.Arbitrary<Json>

const one = (...values: Json[]): Words => fc.constantFrom(...values)
const some = (fields: Record<string, Words>): Words =>
  fc.record(fields, { requiredKeys: ['type'].filter((key) => key in fields) }) as Words
const all = (fields: Record<string, Words>): Words => fc.record(fields) as Words
const list = (item: Words, minLength = 0, maxLength = 3): Words =>
  fc.array(item, { minLength, maxLength })

const text: Words = fc.oneof(
  one('Say pong.', 'Please think.', 'call get_weather', 'What is the time?', '', ' \n'),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const id = one('call_1', 'call_2', 'toolu_1', '')
const json = one('{}', '{"city":"Graz"}', '{"city":', '[]', 'null', '')
const ephemeral = all({ type: one('ephemeral'), ttl: one('5m', '1h', null) })

const toolName = one('get_weather', 'get_time')
const tool: Words = fc
  .tuple(toolName, schemas, fc.boolean(), one('function', 'function', 'function', 'web_search'))
  .map(([name, schema, strict, type]) => ({
    type,
    name,
    description: 'Tells it.',
    parameters: schema,
    input_schema: schema,
    function: { name, description: 'Tells it.', parameters: schema, strict },
  }))

const textPart = all({ type: one('text', 'text', 'text', 'text', 'input_text'), text })
const part: Words = fc.oneof(
  { weight: 12, arbitrary: textPart },
  { weight: 1, arbitrary: all({ type: one('text'), text, cache_control: ephemeral }) },
  { weight: 1, arbitrary: all({ type: one('image_url', 'image', 'input_image'), source: id }) },
  { weight: 1, arbitrary: all({ type: one('refusal'), refusal: text }) },
)
const content: Words = fc.oneof(text, list(part, 1))
const call = all({
  id,
  type: one('function'),
  function: all({ name: toolName, arguments: json }),
})

const user = all({ role: one('user'), content })
const messageOfAnyRole: Words = fc.oneof(
  { weight: 4, arbitrary: user },
  { weight: 3, arbitrary: all({ role: one('assistant'), content: text, reasoning_content: text }) },
  { weight: 2, arbitrary: all({ role: one('system', 'system', 'developer'), content }) },
  {
    weight: 1,
    arbitrary: all({ role: one('assistant'), content: one(null, ''), tool_calls: list(call) }),
  },
  { weight: 1, arbitrary: all({ role: one('tool'), content: text, tool_call_id: id }) },
  {
    weight: 1,
    arbitrary: all({
      role: one('assistant'),
      content: list(
        fc.oneof(
          all({ type: one('thinking'), thinking: text, signature: text }),
          all({ type: one('redacted_thinking'), data: text }),
          all({ type: one('tool_use'), id, name: toolName, input: one({}, { city: 'Graz' }) }),
        ),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: all({
      role: one('user'),
      content: list(all({ type: one('tool_result'), tool_use_id: id, content })),
    }),
  },
)
const messages: Words = fc
  .tuple(fc.array(messageOfAnyRole, { maxLength: 3 }), user)
  .map(([before, last]) => [...before, last])

const item: Words = fc.oneof(
  { weight: 4, arbitrary: user },
  { weight: 2, arbitrary: some({ type: one('message'), role: one('user', 'assistant'), content }) },
  {
    weight: 1,
    arbitrary: all({ type: one('function_call'), call_id: id, name: toolName, arguments: json }),
  },
  {
    weight: 1,
    arbitrary: all({ type: one('function_call_output'), call_id: id, output: content }),
  },
  {
    weight: 1,
    arbitrary: some({
      type: one('reasoning'),
      summary: list(all({ type: one('summary_text'), text })),
      content: list(all({ type: one('reasoning_text'), text })),
      encrypted_content: text,
    }),
  },
  { weight: 1, arbitrary: all({ type: one('item_reference', 'web_search_call'), id }) },
)

const unit = fc.double({ min: 0, max: 1, noNaN: true })
const penalty = fc.double({ min: -2, max: 2, noNaN: true })
const fewTokens = fc.integer({ min: 0, max: 12 })
const chosenTool = all({ type: one('function', 'auto', 'any', 'tool', 'none'), name: toolName })
const format = fc
  .tuple(one('text', 'json_object', 'json_schema'), schemas, fc.boolean())
  .map(([type, schema, strict]) => {
    const named = { name: 'answer', schema, strict }
    return { type, ...named, json_schema: named }
  })

/** By name, or by the last two names where one says too little. */
const words: Readonly<Record<string, Words>> = {
  model: one(...Array<string>(9).fill('fake'), 'gpt-5'),
  messages,
  content: text,
  system: content,
  instructions: text,
  input: fc.oneof(text, list(item, 1)),
  prompt: fc.oneof(text, list(text, 1, 2), list(fewTokens, 1)),
  tools: list(tool, 0, 2),
  tool_choice: fc.oneof(one('auto', 'none', 'required'), chosenTool),
  response_format: format,
  'text.format': format,
  'output_config.format': format,
  cache_control: ephemeral,
  max_tokens: fewTokens,
  max_completion_tokens: fewTokens,
  max_output_tokens: fewTokens,
  temperature: unit,
  top_p: unit,
  min_p: unit,
  top_k: fewTokens,
  repeat_penalty: one(1, 1.1, 2),
  repetition_penalty: one(1, 1.1, 2),
  frequency_penalty: penalty,
  presence_penalty: penalty,
  seed: fc.integer(),
  n: one(1, 1, 2),
  logit_bias: one({}, { 65: 1.5, 66: -100 }),
  top_logprobs: one(0, 2, 5),
  best_of: one(1),
  echo: one(false),
  suffix: one(''),
  functions: list(tool, 0, 2),
  documents: one([], [{ title: 'Graz', text: 'A city.' }]),
  function_call: one('auto', 'none'),
  continue_final_message: one(false, false, true),
  json_schema: schemas,
  guided_json: schemas,
  guided_choice: list(text, 1),
  guided_regex: patterns,
  grammar: one('root ::= "yes" | "no"', 'root ::= x', ''),
  ignore_eos: one(false, false, false, true),
  stop: fc.oneof(one('.', 'the'), list(one('a', 'the'), 1)),
  stop_sequences: list(one('a', 'the')),
  'thinking.type': one('enabled', 'disabled', 'adaptive'),
  effort: one('none', 'low', 'medium', 'high'),
  reasoning_effort: one('none', 'low', 'medium', 'high'),
  chat_template_kwargs: one({}, { enable_thinking: false }),
  cache_salt: one('a', 'b'),
  ttl: one('30m', '5m', '1h', '60s'),
  include: list(one('reasoning.encrypted_content')),
  metadata: one({}, { user_id: 'user_1_session_2' }),
  ids: list(one('9f2c41d07ab3', 'abc'), 1),
  tokens: list(fc.integer({ min: 0, max: 262 })),
}

/** Optional by the schema, but without it there is nothing to answer. */
export const isNeeded = (name: string): boolean => name === 'input'

const loud = ['response_format', 'text', 'output_config', 'format', 'tools', 'tool_choice']

/** What is most written for: schemas become grammars, and calls become schemas. */
export const isLoud = (name: string): boolean => loud.includes(name)

/** Null where nothing is known. */
export function wordsFor(place: readonly string[]): Words | null {
  const exact = words[place.slice(-2).join('.')]
  return exact ?? words[place.at(-1) ?? ''] ?? null
}
