import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { expect, test } from 'vitest'
import { toWorker } from '../../src/api/native/render.ts'
import {
  EvictReportSchema,
  PrefixDetailSchema,
  PrefixPageSchema,
  WorkerListSchema,
} from '../../src/api/native/schema.ts'
import { CacheStatsSchema } from '../../src/api/native/stats-schema.ts'
import { createServer } from '../../src/api/server.ts'
import type { Service } from '../../src/pipeline/types.ts'
import { scriptedBudgets } from '../support/scripted-budgets.ts'
import { modelCard, scriptedService } from '../support/scripted-service.ts'

const get = (url: string, service: Service = scriptedService()) =>
  createServer(service).inject({ method: 'GET', url })
const post = (url: string, payload: object, service = scriptedService()) =>
  createServer(service).inject({ method: 'POST', url, payload })

test.each([
  ['/v1/cache/stats', CacheStatsSchema],
  ['/v1/cache/prefixes', PrefixPageSchema],
  ['/v1/cache/prefixes/9f2c', PrefixDetailSchema],
  ['/v1/workers', WorkerListSchema],
])('GET %s keeps to its schema', async (url, schema: TSchema) => {
  const reply = await get(url)
  expect(reply.statusCode).toBe(200)
  expect([...Value.Errors(schema, reply.json())]).toEqual([])
})

test.each([
  ['with rows', {}, { kinds: ['kv'], kv_bytes_per_token: 64, row_bytes_per_token: 64 }],
  [
    'that keeps a state only, whose records of tokens are empty',
    { kinds: ['kv', 'state'], kvBytesPerToken: 0, kvFixedBytes: 0, rowBytesPerToken: 0 },
    { kinds: ['state'], kv_bytes_per_token: 0 },
  ],
  [
    'that is served without cache, and was not measured',
    { kinds: [], refusal: 'Nobody knows it.', kvBytesPerToken: 0 },
    { kinds: [], refusal: 'Nobody knows it.', kv_bytes_per_token: null, boundary_bytes: null },
  ],
])('a worker shows what has bytes, for a layout %s', (_, changes, shown) => {
  const service = scriptedService()
  const [report] = service.workers()
  if (report?.layout == null) throw new Error('the scripted worker has a layout')
  const layout = { ...report.layout, ...(changes as Partial<typeof report.layout>) }
  expect(toWorker({ ...report, layout }).layout).toMatchObject(shown)
})

test('stats are in snake_case with units', async () => {
  expect((await get('/v1/cache/stats')).json()).toMatchObject({
    up_ms: 5000,
    block_tokens: 256,
    tiers: [{ tier: 'ram', used_bytes: 10, reclaimable_bytes: 10 }],
    tokens: { restored_ram: 10, restored_ssd: 20 },
    saved_prefill_ms: 1234,
    models: [
      {
        model: 'fake',
        tokens: { restored_ram: 10, restored_ssd: 20 },
        rates: { prefill_tokens_per_second: 130, restore_bytes_per_second: { ssd: null } },
      },
    ],
  })
})

test('the query of prefixes is checked and passed on', async () => {
  const service = scriptedService()
  await get('/v1/cache/prefixes?sort=size&limit=5&tier=ssd&model=fake&cursor=abc', service)
  await get('/v1/cache/prefixes', service)
  expect(service.queries).toEqual([
    { sort: 'size', limit: 5, tier: 'ssd', model: 'fake', cursor: 'abc' },
    { sort: 'last', limit: 50 },
  ])
})

test.each([
  ['limit=0', 'limit'],
  ['limit=1001', 'limit'],
  ['limit=many', 'limit'],
  ['sort=beauty', 'sort'],
  ['tier=tape', 'tier'],
  ['sort=size&sort=last', 'sort'],
])('the query %s is refused, naming %s', async (query, param) => {
  const reply = await get(`/v1/cache/prefixes?${query}`)
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error.param).toBe(param)
})

test.each(['/v1/cache/prefixes', '/v1/requests'])(
  'a limit of %s that is no number is told what a limit is',
  async (url) => {
    const { message } = (await get(`${url}?limit=many`)).json().error
    expect(message).toBe('limit must be a whole number from 1 to 1000, not "many".')
  },
)

const untouched = createServer(scriptedService())

test.each([
  ['GET', '/v1/cache/prefixes?modle=fake', 'modle', 'Did you mean model?'],
  ['GET', '/v1/cache/totals?since=7d', 'since', 'Did you mean since_ms?'],
  ['GET', '/v1/requests?statsu=hit', 'statsu', 'Did you mean status?'],
  ['GET', '/v1/sessions?limit=0', 'limit', 'Leave it out.'],
  ['GET', '/v1/cache/stats?model=fake', 'model', 'Leave it out.'],
  ['POST', '/v1/cache/warm?dialekt=chat', 'dialekt', 'Did you mean dialect?'],
  ['POST', '/v1/cache/evict?dry_run=true', 'dry_run', 'Leave it out.'],
] as const)('%s %s names the field that the query does not have', async (...asked) => {
  const [method, url, param, next] = asked
  const payload = method === 'POST' ? { all: true } : undefined
  const reply = await untouched.inject({ method, url, ...(payload && { payload }) })
  const { error } = reply.json()
  expect([reply.statusCode, error.param]).toEqual([400, param])
  expect(error.message).toMatch(`${param} is no field of this query; it has `)
  expect(error.message.endsWith(next)).toBe(true)
})

test.each(['/reset_prefix_cache?reset_external=true', '/v1/messages?beta=true'])(
  '%s has clients of other services, whose queries say what they like',
  async (url) => {
    const messages = [{ role: 'user', content: 'hi' }]
    const payload = { model: 'fake', max_tokens: 1, messages }
    expect((await untouched.inject({ method: 'POST', url, payload })).statusCode).toBe(200)
  },
)

test('vLLM’s reset_prefix_cache evicts everything, and only for the owner’s own pages', async () => {
  const service = scriptedService()
  const server = createServer(service)
  const url = '/reset_prefix_cache'
  const reply = await server.inject({ method: 'POST', url })
  expect(reply.json()).toMatchObject({ dry_run: false, blocks: 4 })
  expect(service.evictions).toEqual([{ selector: { all: true }, dryRun: false, force: false }])
  const foreign = await server.inject({ method: 'POST', url, headers: { host: 'evil.example' } })
  expect(foreign.statusCode).toBe(403)
  expect(service.evictions).toHaveLength(1)
})

test('a prefix that is not there is a 404', async () => {
  const reply = await get('/v1/cache/prefixes/ffff')
  expect(reply.statusCode).toBe(404)
  expect(reply.json().error.code).toBe('prefix_not_found')
})

test.each([
  [{ ids: ['9f2c'] }, { ids: ['9f2c'] }],
  [{ model: 'fake' }, { model: 'fake' }],
  [{ session: 's' }, { session: 's' }],
  [{ tenant: 't' }, { tenant: 't' }],
  [{ namespace: 'n' }, { namespace: 'n' }],
  [{ older_than_ms: 0 }, { olderThanMs: 0 }],
  [{ tier: 'ram' }, { tier: 'ram' }],
  [{ all: true }, { all: true }],
])('evict %j chooses %j', async (payload, selector) => {
  const service = scriptedService()
  const reply = await post('/v1/cache/evict', payload, service)
  expect([...Value.Errors(EvictReportSchema, reply.json())]).toEqual([])
  await post('/v1/cache/evict', { ...payload, dry_run: true }, service)
  expect(service.evictions).toEqual([
    { selector, dryRun: false, force: false },
    { selector, dryRun: true, force: false },
  ])
})

test.each([
  [{}, 'ids'],
  [{ dry_run: true }, 'ids'],
  [{ all: true, model: 'fake' }, 'all'],
  [{ all: false }, 'all'],
  [{ ids: [] }, 'ids'],
  [{ ids: ['a'], tier: 'ssd' }, 'tier'],
  [{ older_than_ms: -1 }, 'older_than_ms'],
  [{ all: true, dry_run: 'yes' }, 'dry_run'],
])('evict %j is refused, and nothing goes', async (payload, param) => {
  const service = scriptedService()
  const reply = await post('/v1/cache/evict', payload, service)
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error.param).toBe(param)
  expect(service.evictions).toEqual([])
})

test('models say how long a prompt may be, in the words of llama-server and vLLM', async () => {
  const model = {
    id: 'fake',
    object: 'model',
    created: 1_700_000_000,
    owned_by: 'prefixd',
    max_model_len: 8192,
    meta: { n_ctx: 8192, n_ctx_train: 16384, n_params: 134_515_008, size: 100_000_000 },
  }
  expect((await get('/v1/models')).json()).toMatchObject({ object: 'list', data: [model] })
  expect((await get('/v1/models/fake')).json()).toMatchObject(model)
  expect((await get('/v1/models/other')).statusCode).toBe(404)
})

test('a model whose name has slashes is found, and says when it is not loaded yet', async () => {
  const service = scriptedService()
  service.cards = [modelCard({ id: 'owner/name', state: 'starting', info: null })]
  const expected = { id: 'owner/name', state: 'starting', meta: null, max_model_len: null }
  expect((await get('/v1/models/owner/name', service)).json()).toMatchObject(expected)
  expect((await get('/v1/models/owner%2Fname', service)).json()).toMatchObject(expected)
})

test.each([
  ['starting', 'model_loading'],
  ['restarting', 'worker_restarting'],
  ['failed', 'worker_failed'],
  ['stopped', 'shutting_down'],
] as const)('health of a model that is %s is a 503 with %s', async (state, code) => {
  const service = scriptedService()
  service.cards = [modelCard({ state, info: null })]
  for (const url of ['/health', '/v1/health']) {
    const reply = await get(url, service)
    expect(reply.statusCode).toBe(503)
    expect(reply.json().error.code).toBe(code)
    expect(reply.headers['retry-after']).toBe('1')
  }
})

test('health is ok as soon as one model answers', async () => {
  const service = scriptedService()
  service.cards = [modelCard({ id: 'other', state: 'starting' }), modelCard()]
  expect((await get('/health', service)).json()).toEqual({ status: 'ok' })
})

test('health is degraded, and says by which models, where others answer', async () => {
  const service = scriptedService()
  service.cards = [modelCard({ id: 'other', state: 'failed' }), modelCard()]
  const reply = await get('/health', service)
  expect(reply.statusCode).toBe(200)
  expect(reply.json()).toEqual({ status: 'degraded', models: [{ id: 'other', state: 'failed' }] })
})

test.each(['no_growth', 'no_writes'] as const)(
  'health is degraded by a disk with %s',
  async (state) => {
    const budgets = {
      ...scriptedBudgets(),
      disk: () => ({ state, freeBytes: 5e8, resumesAtBytes: 1e9 }),
    }
    const reply = await get('/health', { ...scriptedService(), budgets })
    expect(reply.statusCode).toBe(200)
    expect(reply.json()).toEqual({ status: 'degraded', disk: state })
  },
)

test('tokenize and detokenize are each other’s inverse', async () => {
  const { tokens } = (await post('/tokenize', { content: 'hé' })).json()
  expect(tokens).toEqual([104, 195, 169])
  expect((await post('/detokenize', { tokens })).json()).toEqual({ content: 'hé' })
})

test('a piece that is part of a character is given as bytes', async () => {
  const reply = await post('/tokenize', { content: 'hé', with_pieces: true })
  expect(reply.json().tokens).toEqual([
    { id: 104, piece: 'h' },
    { id: 195, piece: [195] },
    { id: 169, piece: [169] },
  ])
})

test('apply-template renders what a chat with the same body would be prefilled with', async () => {
  const service = scriptedService()
  const body = {
    messages: [{ role: 'developer', content: [{ type: 'text', text: 'hi' }] }],
    tools: [{ type: 'function', function: { name: 'f' } }],
    chat_template_kwargs: { enable_thinking: false },
    reasoning_effort: 'low',
  }
  const reply = await post('/apply-template', body, service)
  expect(reply.json()).toEqual({ prompt: '<system>hi' })
  await post('/v1/chat/completions', body, service)
  expect(service.requests[0]?.prompt).toEqual({ kind: 'chat', input: service.rendered[0] })
  expect(service.rendered[0]).toMatchObject({
    addGenerationPrompt: true,
    templateArgs: { enable_thinking: false, reasoning_effort: 'low' },
  })
})

test('a model has itself for no alias', async () => {
  const service = scriptedService()
  service.cards = [modelCard({ id: 'a', aliases: ['a', './a.gguf'] })]
  const reply = await get('/v1/models', service)
  expect(reply.json().data[0]).toMatchObject({ id: 'a', aliases: ['./a.gguf'] })
})

test('a request that names none of several models is refused only where it names another one', async () => {
  const service = scriptedService()
  service.cards = [modelCard({ id: 'a', aliases: [] }), modelCard({ id: 'b', aliases: [] })]
  expect((await post('/tokenize', { content: 'x' }, service)).statusCode).toBe(200)
  const reply = await post('/tokenize', { content: 'x', model: 'c' }, service)
  expect(reply.statusCode).toBe(404)
  expect(reply.json().error).toMatchObject({
    param: 'model',
    message: expect.stringContaining('a, b'),
  })
})
