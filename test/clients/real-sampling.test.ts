/** Choices, logprobs and bias with a real model, through OpenAI's SDK. */
import { tmpdir } from 'node:os'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createServiceFolder, realFlags, type TestService } from '../support/start-service.ts'

const folder = createServiceFolder(tmpdir(), afterAll)
let service: TestService
let client: OpenAI
let model: string
beforeAll(async () => {
  service = await folder.start({ ...realFlags(), reuse: 'block' })
  client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'local', maxRetries: 0 })
  model = (await client.models.list()).data[0]?.id ?? ''
})

const messages = [{ role: 'user' as const, content: 'Name a river, and say where it flows.' }]

test('with a real model each choice is, bit for bit, what its seed gives alone', async () => {
  const asked = { model, messages, max_tokens: 12, temperature: 1.2, seed: 40 }
  const { choices, usage } = await client.chat.completions.create({ ...asked, n: 3 })
  expect(usage?.completion_tokens).toBeLessThanOrEqual(36)
  for (const { index, message } of choices) {
    const alone = await client.chat.completions.create({ ...asked, seed: 40 + index })
    expect(alone.choices[0]?.message.content).toBe(message.content)
  }
  expect(new Set(choices.map(({ message }) => message.content)).size).toBe(3)
})

test('with a real model logprobs spell the text, and the greedy token is the likeliest', async () => {
  const asked = { model, messages, max_tokens: 24, temperature: 0, logprobs: true, top_logprobs: 2 }
  const { choices } = await client.chat.completions.create(asked)
  const content = choices[0]?.logprobs?.content ?? []
  const bytes = content.flatMap((token) => token.bytes ?? [])
  expect(Buffer.from(bytes).toString()).toBe(choices[0]?.message.content)
  for (const { token, logprob, top_logprobs: top } of content) {
    expect(top.map((each) => each.token)[0]).toBe(token)
    expect(top[0]?.logprob).toBe(logprob)
    expect(top[1]?.logprob).toBeLessThanOrEqual(logprob)
    expect(top.reduce((sum, each) => sum + Math.exp(each.logprob), 0)).toBeLessThanOrEqual(1.001)
  }
})

test('a model without tokens for gaps refuses a suffix, and says why', async () => {
  const asked = client.completions.create({
    model,
    prompt: 'def a',
    suffix: 'return',
    max_tokens: 4,
  })
  await expect(asked).rejects.toMatchObject({
    status: 400,
    param: 'suffix',
    message: expect.stringContaining('no tokens for filling a gap'),
  })
})
