import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { answering, scriptedService } from '../support/scripted-service.ts'

const junk = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(null, '', 0, [], {}))
/** Mostly what belongs there, so that bodies get past the first check. */
const or = <T>(value: fc.Arbitrary<T>) => fc.oneof({ weight: 60, arbitrary: value }, junk)
const cache_control = or(fc.record({ type: fc.constant('ephemeral'), ttl: or(fc.constant('1h')) }))
const text = or(fc.string({ maxLength: 8 }))
const textBlock = fc.record(
  { type: fc.constant('text'), text, cache_control },
  { requiredKeys: ['type', 'text'] },
)
const userBlock = fc.record({
  type: fc.constant('tool_result'),
  tool_use_id: text,
  content: or(fc.array(textBlock, { maxLength: 2 })),
})
const assistantBlock = fc.oneof(
  fc.record({ type: fc.constant('thinking'), thinking: text, signature: text }),
  fc.record({ type: fc.constant('redacted_thinking'), data: text }),
  fc.record({ type: fc.constant('tool_use'), id: text, name: text, input: or(fc.object()) }),
)
const strange = fc.record({
  type: fc.constantFrom('image', 'document', '__proto__', 'constructor'),
})
const contentOf = (block: fc.Arbitrary<object>) =>
  or(
    fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.array(or(fc.oneof(textBlock, block)), { maxLength: 3 }),
      fc.array(fc.oneof({ weight: 9, arbitrary: block }, strange), { maxLength: 2 }),
    ),
  )
const content = contentOf(textBlock)
const user = fc.record({ role: fc.constant('user'), content: contentOf(userBlock) })
const message = fc.oneof(
  user,
  fc.record({ role: fc.constant('assistant'), content: contentOf(assistantBlock) }),
  fc.record({ role: or(fc.constant('system')), content }),
)
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
    messages: or(
      fc
        .tuple(fc.array(or(message), { maxLength: 3 }), user)
        .map(([some, last]) => [...some, last]),
    ),
    model: or(fc.constant('fake')),
    system: content,
    tools: or(fc.array(or(tool), { maxLength: 2 })),
    tool_choice: or(fc.record({ type: fc.constantFrom('auto', 'none', 'auto', 'none', 'any') })),
    stop_sequences: or(fc.array(or(fc.constantFrom('a', 'b')), { maxLength: 3 })),
    thinking: or(fc.record({ type: text })),
    output_config: or(fc.record({ effort: text })),
    temperature: or(fc.double({ min: 0, max: 2, noNaN: true })),
    top_k: or(fc.nat(100)),
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
  expect(answered).toBeGreaterThan(100)
})
