/** Models that are restored to boundaries only, through the whole service. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { complete, completeCold } from '../../bench/completions-client.ts'
import { flipByte } from '../support/flip-byte.ts'
import {
  createServiceFolder,
  fakeFlags,
  fakeTokens,
  type TestService,
} from '../support/start-service.ts'

const mebibyte = 1024 ** 2
const blockTokens = 256
const promptTokens = 2 * blockTokens + 100
const request = { tokens: fakeTokens(1, promptTokens), answerTokens: 8 }
const layouts = ['kv+window', 'kv+state', 'kv+window+state', 'state'] as const

interface Prefix {
  readonly tokens: number
  readonly restorable_tokens: number
}

interface Choices {
  readonly choices: readonly { readonly text: string }[]
  readonly usage: { readonly prompt_tokens_details: { readonly cached_tokens: number } }
}

async function choicesOf(service: TestService, more: Record<string, unknown>): Promise<Choices> {
  const body = { prompt: [...request.tokens], max_tokens: 12, ignore_eos: true, temperature: 1 }
  return (await service.post('/v1/completions', { ...body, ...more })).json() as Promise<Choices>
}

test.each(layouts)('%s: an answer is the same cold, warm and after kill -9', async (layout) => {
  const folder = createServiceFolder()
  const before = await folder.start(fakeFlags, { layout })
  const cold = await complete(before.url, request)
  const end = promptTokens + request.answerTokens - 1
  expect(cold).toMatchObject({ cachedTokens: 0, savedTokens: end })
  const warm = await complete(before.url, request)
  expect(warm).toMatchObject({ text: cold.text, cachedTokens: promptTokens - 1, tier: 'ram' })
  await before.kill()
  const after = await folder.start(fakeFlags, { layout })
  const again = await complete(after.url, request)
  expect(again).toMatchObject({ text: cold.text, cachedTokens: promptTokens - 1, tier: 'ssd' })
  const { data } = (await after.get('/v1/cache/prefixes')) as { data: readonly Prefix[] }
  expect(data.map((prefix) => [prefix.tokens, prefix.restorable_tokens])).toEqual([[end, end]])
  const longer = { ...request, tokens: fakeTokens(1, promptTokens + 40) }
  expect((await complete(after.url, longer)).text).toBe(
    (await completeCold(after.url, longer)).text,
  )
})

test('a damaged window costs the way back to the boundary before it, and the answer is right', async () => {
  const folder = createServiceFolder()
  const fake = { layout: 'kv+window+state' }
  const before = await folder.start(fakeFlags, fake)
  const cold = await complete(before.url, request)
  await before.kill()
  // Slots follow the order of saving: two blocks, the boundary behind them, and the rows of the
  // tail before the last token, whose window comes next.
  flipByte(join(folder.data, 'spill.slab'), 5 * mebibyte + 100)
  const service = await folder.start(fakeFlags, fake)
  const again = await complete(service.url, request)
  const lower = { cachedTokens: 2 * blockTokens, missReason: 'corrupt', tier: 'ssd' }
  expect(again).toMatchObject({ text: cold.text, ...lower })
  expect(service.lines.join('\n')).toMatch(/warn: the window of block \w+ could not be read back/)
  expect(await service.get('/v1/cache/stats')).toMatchObject({ corrupt_blocks: 1 })
  const healed = await complete(service.url, request)
  expect(healed).toMatchObject({ text: cold.text, cachedTokens: promptTokens - 1 })
})

test('a model that refuses every restore answers all the same, after three tries at most', async () => {
  const folder = createServiceFolder()
  const fake = { layout: 'kv+state' }
  const before = await folder.start(fakeFlags, fake)
  const cold = await complete(before.url, request)
  await before.stop()
  const service = await folder.start(fakeFlags, { ...fake, failRestore: true })
  const again = await complete(service.url, request)
  expect(again).toMatchObject({ text: cold.text, cachedTokens: 0, missReason: 'corrupt' })
  const { restores } = (await service.get('/v1/cache/stats')) as { restores: { failed: number } }
  expect(restores.failed).toBeGreaterThan(0)
  expect(restores.failed).toBeLessThanOrEqual(3)
})

test.each(layouts)(
  '%s: every one of several choices is what its seed gives alone',
  async (layout) => {
    const service = await createServiceFolder().start(fakeFlags, { layout })
    const together = await choicesOf(service, { n: 3, seed: 5 })
    const texts = together.choices.map(({ text }) => text)
    expect(new Set(texts).size).toBe(3)
    for (const [at, text] of texts.entries()) {
      const alone = await choicesOf(service, { seed: 5 + at, cache_prompt: false })
      expect(alone.choices[0]?.text).toBe(text)
    }
    const unsaved = await choicesOf(service, { n: 3, seed: 5, cache_prompt: false })
    expect(unsaved.choices.map(({ text }) => text)).toEqual(texts)
  },
)

test('a later choice whose restore fails is computed, and that is logged and counted', async () => {
  const layout = 'kv+state'
  const service = await createServiceFolder().start(fakeFlags, { layout, failRestore: true })
  const together = await choicesOf(service, { n: 2, seed: 5 })
  for (const [at, { text }] of together.choices.entries()) {
    const alone = await choicesOf(service, { seed: 5 + at, cache_prompt: false })
    expect(alone.choices[0]?.text).toBe(text)
  }
  expect(await service.get('/v1/cache/stats')).toMatchObject({ restores: { ok: 0, failed: 1 } })
  const failed = service.lines.filter((line) => line.includes('a restore failed'))
  expect(failed).toHaveLength(1)
})

test.each([
  ['kv+state', 'token', 640],
  ['state', 'token', 640],
  ['kv+window', 'block', 512],
] as const)(
  '%s, reuse by %s: the third chat that leaves others at one place is restored to it',
  async (layout, reuse, place) => {
    const service = await createServiceFolder().start({ ...fakeFlags, reuse }, { layout })
    const shared = fakeTokens(1, 700)
    const cached: number[] = []
    for (const chat of [2, 3, 4]) {
      const tokens = Uint32Array.from([...shared, ...fakeTokens(chat, 300)])
      const { text, cachedTokens } = await complete(service.url, { ...request, tokens })
      cached.push(cachedTokens)
      expect(text).toBe((await completeCold(service.url, { ...request, tokens })).text)
    }
    expect(cached).toEqual([0, 0, place])
  },
)

test('a prompt that is only warmed up has its boundaries', async () => {
  const service = await createServiceFolder().start(fakeFlags, { layout: 'kv+state' })
  await choicesOf(service, { max_tokens: 0 })
  const warm = await complete(service.url, request)
  expect(warm).toMatchObject({ cachedTokens: promptTokens - 1, missReason: null })
  const longer = { ...request, tokens: Uint32Array.from([...request.tokens, 65, 66, 67]) }
  expect((await complete(service.url, longer)).cachedTokens).toBe(promptTokens)
})

test('a new chat with the same system prompt goes on behind it', async () => {
  const service = await createServiceFolder().start(fakeFlags, { layout: 'kv+window+state' })
  const system = { role: 'system', content: 'Mind the rules. '.repeat(40) }
  const ask = async (content: string) => {
    const messages = [system, { role: 'user', content }]
    const reply = await service.post('/v1/chat/completions', { messages, max_tokens: 4 })
    return ((await reply.json()) as Choices).usage.prompt_tokens_details.cached_tokens
  }
  expect(await ask('What is the river?')).toBe(0)
  // Behind the system message, or less than two tiles before it.
  expect(await ask('And the boat?')).toBeGreaterThanOrEqual(16 * 40 - 64)
})

const shared = 'Mind the rules of the river. '.repeat(25).trimEnd()

interface Dialect {
  readonly path: string
  /** One message: the words that both prompts begin with, then those of its own. */
  body(own: string, isMarked: boolean): object
  restored(reply: unknown): number
}

const mark = { prompt_cache_breakpoint: { mode: 'explicit' } }
const control = { cache_control: { type: 'ephemeral' } }
const parts = (type: string, own: string, marks: object) => [
  { type, text: `${shared}\n`, ...marks },
  // More than a tile of 64 tokens: no call in front of the last one is shorter.
  { type, text: `${own} `.repeat(8) },
]

const dialects: Readonly<Record<string, Dialect>> = {
  chat: {
    path: '/v1/chat/completions',
    body: (own, isMarked) => ({
      messages: [{ role: 'user', content: parts('text', own, isMarked ? mark : {}) }],
      max_tokens: 4,
    }),
    restored: (reply) => (reply as Choices).usage.prompt_tokens_details.cached_tokens,
  },
  responses: {
    path: '/v1/responses',
    body: (own, isMarked) => ({
      input: [{ role: 'user', content: parts('input_text', own, isMarked ? mark : {}) }],
      max_output_tokens: 4,
    }),
    restored: (reply) => {
      const { usage } = reply as {
        usage: { input_tokens_details: { cached_tokens: number } }
      }
      return usage.input_tokens_details.cached_tokens
    },
  },
  messages: {
    path: '/v1/messages',
    body: (own, isMarked) => ({
      model: 'fake',
      messages: [{ role: 'user', content: parts('text', own, isMarked ? control : {}) }],
      max_tokens: 4,
    }),
    restored: (reply) =>
      (reply as { usage: { cache_read_input_tokens: number } }).usage.cache_read_input_tokens,
  },
}

test.each(Object.entries(dialects))(
  '%s: a prompt that shares all up to a breakpoint goes on from there, and without it from nowhere',
  async (_, { path, body, restored }) => {
    const ask = async (service: TestService, own: string, isMarked: boolean) =>
      restored(await (await service.post(path, body(own, isMarked))).json())
    const fake = { layout: 'kv+window+state' }
    const marked = await createServiceFolder().start(fakeFlags, fake)
    expect(await ask(marked, 'How deep is it?', true)).toBe(0)
    const found = await ask(marked, 'And how cold?', true)
    // One token for each letter, and one for the role before them.
    const place = 1 + shared.length
    expect(found).toBeLessThanOrEqual(place)
    expect(found).toBeGreaterThan(place - 64)
    const unmarked = await createServiceFolder().start(fakeFlags, fake)
    expect(await ask(unmarked, 'How deep is it?', false)).toBe(0)
    expect(await ask(unmarked, 'And how cold?', false)).toBe(0)
  },
)

test('a breakpoint that moves leaves the prompt as it is: the next turn finds all of it', async () => {
  const service = await createServiceFolder().start(fakeFlags, { layout: 'kv+state' })
  const ask = async (isMarked: boolean) => {
    const { path, body, restored } = dialects.messages as Dialect
    return restored(await (await service.post(path, body('How deep?', isMarked))).json())
  }
  expect(await ask(true)).toBe(0)
  // <|user|>, the words, <|end|>, a line break and <|assistant|>: all but the last token.
  expect(await ask(false)).toBe(1 + shared.length + 1 + 8 * 'How deep? '.length + 2)
})
