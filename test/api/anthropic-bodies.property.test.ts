import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { answering, scriptedService } from '../support/scripted-service.ts'

const junk = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(null, '', 0, [], {}))
/** Mostly what belongs there, so that bodies get past the first check. */
const or = <T>(value: fc.Arbitrary<T>) => fc.oneof({ weight: 12, arbitrary: value }, junk)
const cache_control = or(fc.record({ type: fc.constant('ephemeral'), ttl: or(fc.constant('1h')) }))
const text = or(fc.string({ maxLength: 8 }))
const block = fc.oneof(
  fc.record({ type: fc.constant('text'), text }),
  fc.record({ type: fc.constant('text'), text, cache_control }),
  fc.record({ type: fc.constant('thinking'), thinking: text, signature: text }),
  fc.record({ type: fc.constant('redacted_thinking'), data: text }),
  fc.record({ type: fc.constant('tool_use'), id: text, name: text, input: or(fc.object()) }),
  fc.record({
    type: fc.constant('tool_result'),
    tool_use_id: text,
    content: or(fc.array(fc.record({ type: or(fc.constant('text')), text }), { maxLength: 2 })),
  }),
  fc.record({ type: fc.constantFrom('image', 'document', '__proto__', 'constructor') }),
)
const content = or(fc.oneof(fc.string({ maxLength: 8 }), fc.array(block, { maxLength: 3 })))
const role = or(fc.constantFrom('user', 'assistant', 'system'))
const tool = fc.record(
  {
    type: or(fc.constantFrom('custom', 'bash_20250124')),
    name: text,
    input_schema: or(fc.object()),
  },
  { requiredKeys: [] },
)
const body = fc.record(
  {
    max_tokens: or(fc.nat()),
    messages: or(fc.array(or(fc.record({ role, content })), { maxLength: 4 })),
    model: or(fc.constant('fake')),
    system: content,
    tools: or(fc.array(or(tool), { maxLength: 2 })),
    tool_choice: or(fc.record({ type: fc.constantFrom('auto', 'any', 'tool', 'none') })),
    stop_sequences: or(fc.array(text, { maxLength: 3 })),
    thinking: or(fc.record({ type: text })),
    output_config: or(fc.record({ effort: text, format: junk })),
    temperature: or(fc.double()),
    top_k: or(fc.integer()),
    metadata: or(fc.record({ user_id: text })),
    diagnostics: or(fc.record({ previous_message_id: text })),
    cache_control,
    stream: or(fc.boolean()),
  },
  { requiredKeys: ['max_tokens', 'messages'] },
)

test('property: whatever the body is, it is answered or refused by a typed error', async () => {
  const server = createServer(scriptedService(answering()))
  let answered = 0
  const property = fc.asyncProperty(
    body,
    fc.constantFrom('/v1/messages', '/v1/messages/count_tokens'),
    async (payload, url) => {
      const reply = await server.inject({ method: 'POST', url, payload })
      if (reply.statusCode === 200) {
        answered += 1
        return
      }
      expect([400, 404]).toContain(reply.statusCode)
      expect(reply.json()).toMatchObject({
        type: 'error',
        error: { type: expect.stringMatching(/^(invalid_request|not_found)_error$/) },
      })
    },
  )
  await fc.assert(property, { numRuns: 400 })
  // Else the generator has only shown that the schema refuses junk.
  expect(answered).toBeGreaterThan(20)
})
