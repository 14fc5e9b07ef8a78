/** OpenAI's SDK, unchanged: choices, logprobs, bias and the rest, with the fake engine. */
import OpenAI from 'openai'
import { expect, test } from 'vitest'
import type { FakeOptions } from '../../engines/fake/options.ts'
import { createServiceFolder, fakeFlags, until } from '../support/start-service.ts'

async function open(flags: Readonly<Record<string, string>> = {}, fake?: Partial<FakeOptions>) {
  const { url, get } = await createServiceFolder().start({ ...fakeFlags, ...flags }, fake)
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'local', maxRetries: 0 })
  return { client, get }
}

const messages = [{ role: 'user' as const, content: 'Say something of the river. '.repeat(30) }]
const chat = { model: 'fake', messages, max_tokens: 24, temperature: 1, seed: 7 }

interface Stats {
  readonly tokens: { readonly prompt: number; readonly computed: number }
  readonly prefixes: number
}

test.each(['token', 'block'])(
  'choices share one prompt, and each is what its seed gives alone: --reuse %s',
  async (reuse) => {
    const { client, get } = await open({ reuse })
    const several = await client.chat.completions.create({ ...chat, n: 3 })
    const { tokens, prefixes } = (await get('/v1/cache/stats')) as Stats
    const texts = several.choices.map(({ message }) => message.content)
    expect(several.choices.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(new Set(texts).size).toBe(3)
    // The prompt was computed once, and is counted once; one answer was saved with it.
    expect(prefixes).toBe(1)
    const prompt = several.usage?.prompt_tokens ?? 0
    expect(tokens).toMatchObject({ prompt, computed: prompt })

    let generated = 0
    for (const [index, text] of texts.entries()) {
      const alone = await client.chat.completions.create({ ...chat, seed: chat.seed + index })
      expect(alone.choices[0]?.message.content).toBe(text)
      generated += alone.usage?.completion_tokens ?? 0
    }
    expect(several.usage?.completion_tokens).toBe(generated)
  },
)

test('streamed choices follow each other, and end the same', async () => {
  const { client } = await open()
  const whole = await client.chat.completions.create({ ...chat, n: 2 })
  const stream = client.chat.completions.stream({ ...chat, n: 2 })
  const roles: unknown[] = []
  stream.on('chunk', ({ choices: [choice] }) => {
    if (choice?.delta.role !== undefined) roles.push([choice.index, choice.delta.role])
  })
  const streamed = await stream.finalChatCompletion()
  expect(roles).toEqual([
    [0, 'assistant'],
    [1, 'assistant'],
  ])
  const texts = (completion: OpenAI.ChatCompletion) =>
    completion.choices.map(({ message }) => message.content)
  expect(texts(streamed)).toEqual(texts(whole))
})

test('a client that leaves in the middle of its choices frees the sequence at once', async () => {
  const { client, get } = await open({}, { decodeTokensPerSecond: 50 })
  const stream = await client.chat.completions.create({ ...chat, n: 16, stream: true })
  for await (const { choices } of stream) if (choices[0]?.index === 1) break
  const workers = async () => (await get('/v1/workers')) as { data: { busy_sequences: number }[] }
  await until(workers, ({ data }) => data[0]?.busy_sequences === 0)
  const stats = (await get('/v1/cache/stats')) as { tokens: { generated: number } }
  expect(stats.tokens.generated).toBeLessThan(16 * chat.max_tokens)
})

test('logprobs name every token of the text, whole and streamed, but none of the thoughts', async () => {
  const { client } = await open()
  const asked = {
    ...chat,
    messages: [{ role: 'user' as const, content: 'Please think.' }],
    ...{ max_tokens: 80, temperature: 0, logprobs: true, top_logprobs: 3 },
  }
  const { choices } = await client.chat.completions.create(asked)
  const content = choices[0]?.logprobs?.content ?? []
  const bytes = content.flatMap((token) => token.bytes ?? [])
  expect(Buffer.from(bytes).toString()).toBe(choices[0]?.message.content)
  for (const { logprob, top_logprobs: top } of content) {
    expect(logprob).toBeLessThanOrEqual(0)
    expect(top).toHaveLength(3)
    expect(top[0]?.logprob).toBe(logprob)
  }
  const streamed = await client.chat.completions.stream(asked).finalChatCompletion()
  expect(streamed.choices[0]?.logprobs?.content).toEqual(content)
})

test('top_logprobs without logprobs is refused by name', async () => {
  const { client } = await open()
  const asked = client.chat.completions.create({ ...chat, top_logprobs: 2 })
  await expect(asked).rejects.toMatchObject({ status: 400, param: 'top_logprobs' })
})

test('a banned token does not come, and one that is pushed comes alone', async () => {
  const { client } = await open()
  const e = 'e'.charCodeAt(0)
  const banned = await client.chat.completions.create({ ...chat, logit_bias: { [e]: -100 } })
  expect(banned.choices[0]?.message.content).not.toContain('e')
  const pushed = await client.chat.completions.create({
    ...{ ...chat, temperature: 0, max_tokens: 5 },
    logit_bias: { [e]: 100 },
  })
  expect(pushed.choices[0]?.message.content).toBe('eeeee')
  const outside = client.chat.completions.create({ ...chat, logit_bias: { 99999: 1 } })
  await expect(outside).rejects.toMatchObject({ status: 400, param: 'logit_bias' })
})

test('completions have logprobs in the shape of old, with offsets into their text', async () => {
  const { client } = await open()
  const asked = { model: 'fake', prompt: 'Once', max_tokens: 12, temperature: 0, logprobs: 2 }
  const { choices } = await client.completions.create({ ...asked, n: 2, best_of: 2 })
  expect(choices).toHaveLength(2)
  for (const { text, logprobs } of choices) {
    const { tokens = [], token_logprobs: own = [], top_logprobs: top = [] } = logprobs ?? {}
    expect(own).toHaveLength(tokens.length)
    expect(Object.keys(top[0] ?? {})).toContain(tokens[0])
    const offsets = logprobs?.text_offset ?? []
    for (const [index, token] of tokens.entries()) {
      // A part of a character has no text of its own.
      if (token !== '\uFFFD') expect(text.startsWith(token, offsets[index])).toBe(true)
    }
    expect(offsets[0]).toBe(0)
    expect(offsets).toHaveLength(tokens.length)
  }
})

test('a gap between two texts is asked for in the tokens that the model has for it', async () => {
  const { client } = await open()
  const asked = { model: 'fake', max_tokens: 20, temperature: 0 }
  const filled = await client.completions.create({ ...asked, prompt: 'def a', suffix: 'return' })
  const spelled = await client.completions.create({
    ...asked,
    prompt: '<|before|>def a<|behind|>return<|between|>',
  })
  expect(filled.choices[0]?.text).toBe(spelled.choices[0]?.text)
  expect(filled.usage?.prompt_tokens).toBe(spelled.usage?.prompt_tokens)
})

test('responses have logprobs where they are included, and an empty list elsewhere', async () => {
  const { client } = await open()
  const asked = { model: 'fake', input: 'hi', max_output_tokens: 16, temperature: 0 }
  const logprobsOf = (response: OpenAI.Responses.Response) => {
    const [item] = response.output
    const part = item?.type === 'message' ? item.content[0] : undefined
    return part?.type === 'output_text' ? part.logprobs : undefined
  }
  expect(logprobsOf(await client.responses.create(asked))).toEqual([])
  const wanted = { ...asked, top_logprobs: 2, include: ['message.output_text.logprobs' as const] }
  const response = await client.responses.create(wanted)
  const bytes = logprobsOf(response)?.flatMap((token) => token.bytes) ?? []
  expect(Buffer.from(bytes).toString()).toBe(response.output_text)
  expect(response.top_logprobs).toBe(2)
  const streamed = await client.responses.stream(wanted).finalResponse()
  expect(logprobsOf(streamed)).toEqual(logprobsOf(response))
})
