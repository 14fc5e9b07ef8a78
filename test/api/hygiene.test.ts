/** What hygiene does to a chat, seen by those who send it: on, off, reported, counted. */
import { expect, test } from 'vitest'
import type { CacheStatsJson } from '../../src/api/native/stats-schema.ts'
import { createServiceFolder, fakeFlags, type TestService } from '../support/start-service.ts'

const rules = 'You are a careful engineer. '.repeat(20)
const billing = (digits: string): string =>
  `x-anthropic-billing-header: cc_version=2.1.330.${digits}; cc_entrypoint=cli; cch=00000;`

/** Claude Code's first lines: two sessions differ in three digits at the very beginning. */
const session = (digits: string, system = `${billing(digits)}\n${rules}`) => ({
  model: 'fake',
  max_tokens: 1,
  temperature: 0,
  system,
  messages: [{ role: 'user', content: 'Say pong' }],
})

interface Cache {
  readonly tokens: { readonly restored: number }
  readonly hygiene: readonly { readonly name: string; readonly removed_chars: number }[]
  readonly volatile: readonly { readonly kind: string; readonly message: number }[]
}

async function ask(
  { url }: TestService,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Cache> {
  const reply = await fetch(`${url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  expect(reply.status).toBe(200)
  return ((await reply.json()) as { cache: Cache }).cache
}

const off = { 'x-prefixd-hygiene': 'off' }

test('the billing line goes, is reported with each request, and counted in all', async () => {
  const service = await createServiceFolder().start()
  const removed = { name: 'claude-code-billing', removed_chars: billing('41e').length + 1 }
  const first = await ask(service, session('41e'))
  expect(first.hygiene).toEqual([removed])
  const second = await ask(service, session('77b'))
  expect(second.hygiene).toEqual([removed])
  expect(second.tokens.restored).toBeGreaterThan(rules.length)
  expect(((await service.get('/v1/cache/stats')) as CacheStatsJson).hygiene).toEqual([
    { name: removed.name, requests: 2, removed_chars: 2 * removed.removed_chars },
  ])
})

test('a request may opt out, and so may the whole service; then the prompt is as it came', async () => {
  const folder = createServiceFolder()
  const on = await folder.start()
  await ask(on, session('41e'))
  const untouched = await ask(on, session('77b'), off)
  expect(untouched).toMatchObject({ hygiene: [], volatile: [] })
  expect(untouched.tokens.restored).toBeLessThan(rules.length / 2)
  await on.stop()

  const without = await folder.start({ ...fakeFlags, hygiene: 'none' })
  expect((await ask(without, session('41e'))).hygiene).toEqual([])
  const { prompt } = (await (
    await without.post('/apply-template', {
      messages: [{ role: 'system', content: `${billing('41e')}\n${rules}` }],
    })
  ).json()) as { prompt: string }
  expect(prompt).toContain('x-anthropic-billing-header')
})

test('a word of the header that is not known is refused, since somebody relies on it', async () => {
  const service = await createServiceFolder().start()
  const reply = await fetch(`${service.url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-prefixd-hygiene': 'no' },
    body: JSON.stringify(session('41e')),
  })
  expect(reply.status).toBe(400)
  expect(await reply.text()).toContain('x-prefixd-hygiene must be')
})

test('what differs between sessions is reported and stays as it is', async () => {
  const service = await createServiceFolder().start()
  const system = `${rules}\nToday's date is 2026-11-24.\nWorking directory: /srv/project\n`
  const cache = await ask(service, session('', system))
  expect(cache.hygiene).toEqual([])
  expect(cache.volatile.map(({ kind, message }) => [kind, message])).toEqual([
    ['date', 0],
    ['path', 0],
  ])
  const counted = await service.post('/v1/messages/count_tokens', session('', system))
  const { input_tokens } = (await counted.json()) as { input_tokens: number }
  expect(input_tokens).toBeGreaterThan(system.length)
})
