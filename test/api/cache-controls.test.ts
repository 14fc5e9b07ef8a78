/** What clients ask of the cache, in each dialect's words, on the service with the fake engine. */
import { expect, test } from 'vitest'
import { createServiceFolder, type TestService } from '../support/start-service.ts'

interface Reply {
  readonly cache: { readonly status: string; readonly tokens: { readonly restored: number } }
  readonly usage: Readonly<Record<string, unknown>>
}

const prose = 'tell me of the sea and of the wind '.repeat(20)
/** A prompt that shares its first words with no other one of the same test. */
const about = (what: string): string => `${what}: ${prose}`

const dialects = {
  '/v1/chat/completions': (text: string, most: number) => ({
    messages: [{ role: 'user', content: text }],
    max_tokens: most,
  }),
  '/v1/completions': (text: string, most: number) => ({ prompt: text, max_tokens: most }),
  '/v1/messages': (text: string, most: number) => ({
    messages: [{ role: 'user', content: text }],
    max_tokens: most,
  }),
  '/v1/responses': (text: string, most: number) => ({ input: text, max_output_tokens: most }),
} as const
const routes = Object.keys(dialects) as (keyof typeof dialects)[]

async function post(
  service: TestService,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const reply = await fetch(service.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'fake', temperature: 0, ...body }),
  })
  expect(reply.status, path).toBe(200)
  return reply
}

const ask = async (...words: Parameters<typeof post>): Promise<Reply> =>
  (await post(...words)).json() as Promise<Reply>

/** What says that nothing was generated, and why it ended. */
const warmed: Readonly<Record<keyof typeof dialects, object>> = {
  '/v1/chat/completions': {
    choices: [{ message: { content: '' }, finish_reason: 'length' }],
    usage: { completion_tokens: 0 },
  },
  '/v1/completions': {
    choices: [{ text: '', finish_reason: 'length' }],
    usage: { completion_tokens: 0 },
  },
  '/v1/messages': { content: [], stop_reason: 'max_tokens', usage: { output_tokens: 0 } },
  '/v1/responses': {
    output: [],
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    usage: { output_tokens: 0 },
  },
}

test('0 tokens warm the cache and generate nothing, in every dialect, streamed or not', async () => {
  const service = await createServiceFolder().start()
  for (const path of routes) {
    const [text, streamed] = [about(`${path} whole`), about(`${path} stream`)]
    const whole = await ask(service, path, dialects[path](text, 0))
    expect(whole, path).toMatchObject(warmed[path])
    expect(whole.cache.tokens.restored, path).toBeLessThan(60)

    const body = { ...dialects[path](streamed, 0), stream: true }
    const stream = await post(service, path, { ...body, stream_options: { include_usage: true } })
    const events = await stream.text()
    expect(events, path).not.toMatch(/content_block|text\.delta|"(text|content)":"[^"]/)
    expect(events, path).toMatch(/"length"|"max_tokens"|"max_output_tokens"/)

    for (const each of [text, streamed]) {
      const { cache } = await ask(service, path, dialects[path](each, 4))
      expect(cache.status, path).toBe('hit')
      expect(cache.tokens.restored, path).toBeGreaterThan(500)
    }
  }
})

const explicit = { prompt_cache_options: { mode: 'explicit' } }

const wishes: Readonly<Record<string, readonly [fields: object, headers: object, status: string]>> =
  {
    'cache_prompt: false': [{ cache_prompt: false }, {}, 'bypass'],
    'explicit without a breakpoint': [explicit, {}, 'bypass'],
    'no-read': [{}, { 'x-prefixd-cache': 'no-read' }, 'bypass'],
    'another cache_salt': [{ cache_salt: 'mine' }, {}, 'miss'],
    'another prompt_cache_key': [{ prompt_cache_key: 'mine' }, {}, 'hit'],
    'words of other servers': [
      { id_slot: 3, n_cache_reuse: 1, keep_alive: '5m', ttl: 60 },
      {},
      'hit',
    ],
    'a user': [{ user: 'ada', safety_identifier: 'x' }, {}, 'hit'],
  }

test.each(['/v1/chat/completions', '/v1/responses'] as const)(
  'each wish has its one meaning, whatever the route: %s',
  async (path) => {
    const service = await createServiceFolder().start()
    for (const [name, [fields, headers, status]] of Object.entries(wishes)) {
      const body = dialects[path](about(name), 1)
      await ask(service, path, body)
      const { cache } = await ask(service, path, { ...body, ...fields }, { ...headers })
      expect(cache.status, name).toBe(status)
    }
  },
)

test('what is neither to be read nor written leaves no trace; no-write leaves none either', async () => {
  const service = await createServiceFolder().start()
  const path = '/v1/chat/completions'
  const text = about('nothing')
  await ask(service, path, { ...dialects[path](text, 1), cache_prompt: false })
  await ask(service, path, dialects[path](text, 1), { 'x-prefixd-cache': 'no-write' })
  const { cache } = await ask(service, path, dialects[path](text, 1))
  expect(cache.status).toBe('miss')
})

const marks = { prompt_cache_breakpoint: { mode: 'explicit' } }

test('explicit breakpoints let a request be cached, on parts of chats and of responses', async () => {
  const service = await createServiceFolder().start()
  const parts = { '/v1/chat/completions': 'text', '/v1/responses': 'input_text' } as const
  for (const [path, type] of Object.entries(parts)) {
    const messages = [{ role: 'user', content: [{ type, text: about(path), ...marks }] }]
    const body = path === '/v1/responses' ? { input: messages } : { messages }
    await ask(service, path, { ...body, ...explicit })
    expect((await ask(service, path, { ...body, ...explicit })).cache.status, path).toBe('hit')
  }
})

test.each(['chat', 'responses'])('in_memory never reaches the disk (%s)', async (dialect) => {
  const service = await createServiceFolder().start()
  const path = dialect === 'chat' ? '/v1/chat/completions' : '/v1/responses'
  const text = about('memory')
  const fields = { prompt_cache_retention: 'in_memory' }
  const first = await ask(service, path, { ...dialects[path](text, 1), ...fields })
  expect(first.cache.status).toBe('miss')
  const again = await ask(service, path, { ...dialects[path](text, 1), ...fields })
  expect(again.cache.status).toBe('hit')
  const { tiers } = (await service.get('/v1/cache/stats')) as {
    tiers: { tier: string; blocks: number; written_bytes: number }[]
  }
  const ssd = tiers.find(({ tier }) => tier === 'ssd')
  expect(ssd).toMatchObject({ blocks: 0, written_bytes: 0 })
})
