/**
 * No request of one key is faster for what another key has cached. Times would prove little; here
 * it is the cause: nothing is found, nothing is read and nothing is restored for the second key.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { CacheStatsJson } from '../../../src/api/native/stats-schema.ts'
import { createServiceFolder, fakeFlags, type TestService } from '../../support/start-service.ts'

const keyOf = (name: string): string => `sk-${name.padEnd(20, '0')}`
const alice = keyOf('alice')
const root = keyOf('root')
const carol = keyOf('carol')
const dave = keyOf('dave')
/** Keys that have stored nothing yet: a few more than the tests need. */
const strangers = Array.from({ length: 12 }, (_, at) => keyOf(`stranger${at}-`))
const lines = [alice, `${root} admin`, `${carol} search`, `${dave} search`, ...strangers]

/** As long as the other one, and unlike it from the first word on. */
const text = (first: string) => `${first} ${'what one key has stored is its own '.repeat(40)}`
const theirs = text('aaaa')
const nobodys = text('bbbb')

const dialects = {
  '/v1/chat/completions': (said: string) => ({ messages: [{ role: 'user', content: said }] }),
  '/v1/completions': (said: string) => ({ prompt: said }),
  '/v1/messages': (said: string) => ({ messages: [{ role: 'user', content: said }] }),
  '/v1/responses': (said: string) => ({ input: said, max_output_tokens: 1 }),
} as const
const routes = Object.keys(dialects) as (keyof typeof dialects)[]

interface Cache {
  readonly status: string
  readonly tier: string | null
  readonly blocks: object
  readonly tokens: { readonly restored: number; readonly computed: number }
  readonly miss: object | null
  readonly reasons: readonly string[]
}

async function ask(
  { url }: TestService,
  path: keyof typeof dialects,
  key: string,
  said: string,
  fields: object = {},
): Promise<Cache> {
  const reply = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: 'fake',
      max_tokens: 1,
      temperature: 0,
      ...dialects[path](said),
      ...fields,
    }),
  })
  expect(reply.status).toBe(200)
  return ((await reply.json()) as { cache: Cache }).cache
}

async function reads({ url }: TestService) {
  const headers = { authorization: `Bearer ${root}` }
  const reply = await fetch(`${url}/v1/cache/stats`, { headers })
  const stats = (await reply.json()) as CacheStatsJson
  const { restored_ram, restored_ssd } = stats.tokens
  return {
    tiers: stats.tiers.map(({ tier, read_bytes }) => [tier, read_bytes]),
    restored: [restored_ram, restored_ssd],
    restores: stats.restores,
  }
}

function openFolder() {
  const folder = createServiceFolder()
  const path = join(folder.path, 'keys')
  writeFileSync(path, lines.join('\n'))
  return () => folder.start({ ...fakeFlags, 'api-keys': path }, {}, root)
}

test('what another key has stored is as far away as what nobody has, in every dialect', async () => {
  const service = await openFolder()()
  for (const path of routes) await ask(service, path, alice, theirs)
  const before = await reads(service)
  for (const [index, path] of routes.entries()) {
    const [one = '', other = ''] = strangers.slice(2 * index)
    const stored = await ask(service, path, one, theirs)
    const cold = await ask(service, path, other, nobodys)
    expect(stored.tokens.restored, path).toBe(0)
    expect(stored).toMatchObject({ status: 'miss', tier: null, miss: { reason: 'never_seen' } })
    // The plan of the one is the plan of the other, and so is all that was done.
    const { status, tier, blocks, tokens, miss, reasons } = cold
    expect(stored, path).toMatchObject({ status, tier, blocks, tokens, miss, reasons })
  }
  expect(await reads(service)).toEqual(before)
})

test('no guessed salt, no session’s name and no restart opens it; its own key does', async () => {
  const start = openFolder()
  const path = '/v1/completions'
  const first = await start()
  await ask(first, path, alice, theirs, { prompt_cache_key: 'session' })
  await first.stop()
  const service = await start()
  const before = await reads(service)
  const guesses = [{}, { cache_salt: alice }, { prompt_cache_key: 'session' }]
  for (const [index, fields] of guesses.entries()) {
    const cache = await ask(service, path, strangers[index] ?? '', theirs, fields)
    expect(cache.tokens.restored).toBe(0)
  }
  // An admin sees what is stored, and is not served from it.
  expect((await ask(service, path, root, theirs)).tokens.restored).toBe(0)
  expect(await reads(service)).toEqual(before)
  expect((await ask(service, path, alice, theirs)).tier).toBe('ssd')
})

test('keys of one group share what either of them has stored', async () => {
  const service = await openFolder()()
  const path = '/v1/completions'
  await ask(service, path, carol, theirs)
  const { status, tokens } = await ask(service, path, dave, theirs)
  expect(status).toBe('hit')
  expect(tokens.computed).toBe(1)
  // A salt of one's own divides what the group shares.
  const divided = await ask(service, path, dave, theirs, { cache_salt: 'mine' })
  expect(divided.tokens.restored).toBe(0)
})
