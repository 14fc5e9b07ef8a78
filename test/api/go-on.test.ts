/** Answers that go on with the assistant's own beginning. */
import type Anthropic from '@anthropic-ai/sdk'
import type OpenAI from 'openai'
import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { scriptedService } from '../support/scripted-service.ts'
import { createServiceFolder } from '../support/start-service.ts'

const user = { role: 'user', content: 'Name a colour.' }
const begun = { role: 'assistant', content: 'My colour is ' }

test('the prompt ends where the beginning ends, in both dialects, and only the rest comes back', async () => {
  const service = await createServiceFolder().start()
  const chat = { messages: [user, begun], max_tokens: 8, temperature: 0 }
  const ask = async <Json>(path: string, body: object): Promise<Json> => {
    const reply = await service.post(path, { model: 'fake', ...body })
    expect(reply.status).toBe(200)
    return reply.json() as Promise<Json>
  }
  const wish = { ...chat, continue_final_message: true }
  const { prompt } = await ask<{ prompt: string }>('/apply-template', wish)
  expect(prompt).toBe('<|user|>Name a colour.<|end|>\n<|assistant|>My colour is ')

  const { tokens } = await ask<{ tokens: number[] }>('/tokenize', { content: prompt })
  const raw = { prompt: tokens, max_tokens: 8, temperature: 0 }
  const completion = await ask<OpenAI.Completion>('/v1/completions', raw)
  const rest = completion.choices[0]?.text
  expect(rest?.length).toBeGreaterThan(4)
  const answer = await ask<OpenAI.ChatCompletion>('/v1/chat/completions', wish)
  expect(answer.choices[0]?.message.content).toBe(rest)

  const message = await ask<Anthropic.Message>('/v1/messages', chat)
  expect(message.content).toMatchObject([{ type: 'text', text: rest }])
  const counted = await ask<Anthropic.MessageTokensCount>('/v1/messages/count_tokens', chat)
  expect(counted.input_tokens).toBe(tokens.length)

  // Without the wish OpenAI's dialect closes the message and begins another one.
  const closed = await ask<{ prompt: string }>('/apply-template', chat)
  expect(closed.prompt).toContain('My colour is <|end|>\n<|assistant|>')
})

test.each([
  ['a message of the user', { messages: [user] }, 'messages'],
  ['no text', { messages: [user, { role: 'assistant', content: '' }] }, 'messages'],
  [
    'a call',
    { messages: [user, { ...begun, tool_calls: [{ id: 'a', function: { name: 'f' } }] }] },
    'messages',
  ],
  [
    'a new message asked for',
    { messages: [user, begun], add_generation_prompt: true },
    'continue_final_message',
  ],
])('%s at the end cannot be gone on with', async (_, body, param) => {
  const payload = { ...body, continue_final_message: true }
  const url = '/v1/chat/completions'
  const reply = await createServer(scriptedService()).inject({ method: 'POST', url, payload })
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error).toMatchObject({ param, code: 'invalid_value' })
})

test('documents reach templates that write them, and are refused where they would be lost', async () => {
  const documents = [{ title: 'Rules', text: 'Be short.' }]
  const scripted = scriptedService()
  const url = '/v1/chat/completions'
  const payload = { messages: [user], documents }
  await createServer(scripted).inject({ method: 'POST', url, payload })
  const [request] = scripted.requests
  expect(request?.prompt).toMatchObject({ kind: 'chat', input: { documents } })

  const service = await createServiceFolder().start()
  const reply = await service.post(url, payload)
  expect(reply.status).toBe(400)
  expect(await reply.json()).toMatchObject({
    error: { param: 'documents', code: 'unsupported_parameter' },
  })
})
