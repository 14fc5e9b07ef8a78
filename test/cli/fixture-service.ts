/** A small HTTP server that answers fixture JSON, and remembers what it was asked. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type {
  EvictReportJson,
  EvictRequestJson,
  PrefixDetailJson,
  PrefixPageJson,
  PrefixSummaryJson,
} from '../../src/api/native/schema.ts'
import type { CacheStatsJson } from '../../src/api/native/stats-schema.ts'
import { adviceHeader, type ErrorCode, errorKinds } from '../../src/errors.ts'
import { budgetsFixture } from './budgets-fixture.ts'
import { adviceFixture, requestFixture, totalsFixture } from './history-fixtures.ts'
import { pinsFixture } from './pins-fixture.ts'
import { nowMs } from './run.ts'
import { workersFixture } from './workers-fixture.ts'

const gibibyte = 1024 ** 3
const minuteMs = 60_000

const counted = {
  requests: { total: 4120, hit: 3890, partial: 120, miss: 100, bypass: 10, failed: 0 },
  tokens: {
    prompt: 71_300_000,
    restored_ram: 41_924_400,
    restored_ssd: 17_183_300,
    computed: 12_192_300,
    saved: 11_800_000,
    generated: 900_000,
  },
}

export const statsFixture: CacheStatsJson = {
  version: '0.4.0',
  up_ms: 76 * 60 * minuteMs,
  block_tokens: 256,
  reuse: 'token',
  directory: '/home/ada/.cache/prefixd/data',
  tiers: [
    {
      tier: 'ram',
      used_bytes: 11.2 * gibibyte,
      capacity_bytes: 16 * gibibyte,
      blocks: 2804,
      boundary_bytes: 0,
      reclaimable_bytes: 9.8 * gibibyte,
      evicted_records: 3011,
      read_bytes: 900 * gibibyte,
      written_bytes: 40 * gibibyte,
    },
    {
      tier: 'ssd',
      used_bytes: 148 * gibibyte,
      capacity_bytes: 200 * gibibyte,
      blocks: 37_120,
      boundary_bytes: 0,
      reclaimable_bytes: 141 * gibibyte,
      evicted_records: 88,
      read_bytes: 500 * gibibyte,
      written_bytes: 190 * gibibyte,
    },
  ],
  prefixes: 1265,
  blocks: 38_002,
  ...counted,
  saved_prefill_ms: 171 * minuteMs,
  sessions: 3,
  hygiene: [],
  restores: { ok: 993, failed: 1 },
  corrupt_blocks: 1,
  failed_writes: 0,
  refused_writes: 0,
  advice: {
    tier: 'ssd',
    more_bytes: 8 * gibibyte,
    requests: 12,
    tokens: 120_000,
    prefill_ms: 83_000,
  },
  ssd_writes: {
    per_day_bytes: 50 * gibibyte,
    left_bytes: 9 * gibibyte,
    today_bytes: 21.4 * gibibyte,
    refused_today_bytes: 3.1 * gibibyte,
    mean_per_day_bytes: 32 * gibibyte,
    projected_per_year_bytes: 365 * 32 * gibibyte,
    tier_writes_per_day: 0.16,
  },
  ssd_disk: { state: 'enough', free_bytes: 300 * gibibyte, resumes_at_bytes: null },
  shares: [],
  ttft_ms: { hit: 410, miss: 9800 },
  models: [
    {
      model: 'smollm2-135m',
      ...counted,
      rates: {
        prefill_tokens_per_second: 1430,
        restore_bytes_per_second: { ram: 9.1 * gibibyte, ssd: 1.4 * gibibyte },
      },
    },
  ],
}

function summary(prefix: Partial<PrefixSummaryJson>): PrefixSummaryJson {
  return {
    id: '9f2c41d07ab3',
    model: 'qwen3.6-27b-q4',
    namespace: '6b0d4e1f00000000000000000000000000000000000000000000000000000001',
    tokens: 31_488,
    restorable_tokens: prefix.tokens ?? 31_488,
    durable_tokens: prefix.tokens ?? 31_488,
    size_bytes: 2_641_404_887,
    unique_bytes: 332_859_965,
    tiers: ['ram', 'ssd'],
    hits: 58,
    created_at_ms: nowMs - 42 * minuteMs,
    last_used_at_ms: nowMs - 4000,
    leased: true,
    pinned: false,
    pinned_until_ms: null,
    tenant: null,
    sessions: [],
    grown_from: null,
    label: null,
    ...prefix,
  }
}

export const prefixFixtures: readonly PrefixSummaryJson[] = [
  summary({}),
  summary({
    id: '51aa0e93cc17',
    pinned: true,
    tokens: 11_776,
    size_bytes: 987_842_478,
    unique_bytes: 987_842_478,
    durable_tokens: 0,
    tiers: ['ram'],
    hits: 1212,
    leased: false,
  }),
  summary({
    id: 'e07d88b1f442',
    pinned: true,
    pinned_until_ms: nowMs + 90 * minuteMs,
    tokens: 28_160,
    size_bytes: 2_362_232_013,
    unique_bytes: 85_899_346,
    tiers: ['ssd'],
    hits: 9,
    last_used_at_ms: nowMs - 3 * minuteMs,
    leased: false,
  }),
  summary({
    id: '77f1e2a40b68',
    // A name that tries to clear the screen and to write right to left.
    model: 'gemma\u001b[2J-4\u202e-12b',
    tokens: 9984,
    size_bytes: 547_608_330,
    unique_bytes: 547_608_330,
    tiers: ['ssd'],
    hits: 17,
    last_used_at_ms: nowMs - 25 * 60 * minuteMs,
    leased: false,
  }),
]

const shared = {
  size_bytes: 21_474_836,
  tiers: ['ram', 'ssd'] as const,
  grid: true,
  kinds: ['kv' as const],
}

export const detailFixture: PrefixDetailJson = {
  ...summary({ tokens: 1200 }),
  blocks: [
    { ...shared, tiers: ['ram', 'ssd'], hash: '00000000000000a1', from: 0, to: 256, shared_by: 31 },
    {
      ...shared,
      tiers: ['ram', 'ssd'],
      hash: '00000000000000a2',
      from: 256,
      to: 512,
      shared_by: 31,
    },
    {
      ...shared,
      tiers: ['ram', 'ssd'],
      hash: '00000000000000a3',
      from: 512,
      to: 768,
      shared_by: 2,
    },
    { ...shared, tiers: ['ram'], hash: '00000000000000a4', from: 768, to: 1024, shared_by: 1 },
    {
      hash: '9f2c41d07ab30000',
      from: 1024,
      to: 1200,
      size_bytes: 14_763_950,
      tiers: ['ram'],
      shared_by: 1,
      grid: false,
      kinds: ['kv'],
    },
  ],
  stored_by: 'llamacpp: llama.cpp v0.5.0',
  mismatches: [{ name: 'build', stored: 'llama.cpp v0.5.0', served: 'llama.cpp v0.6.0' }],
  kept_because: [
    { reason: 'pin', prefix: '9f2c41d07ab3', until_ms: null },
    { reason: 'lifetime', prefix: '51aa00000000', until_ms: nowMs + 60 * minuteMs },
    { reason: 'session', prefix: '9f2c41d07ab3', until_ms: nowMs + 4 * minuteMs },
  ],
  recent_uses: 12,
  idle_weight: 6.45,
  reclaimable_bytes: 332_859_965,
}

export const evictFixture: EvictReportJson = {
  dry_run: false,
  blocks: 480,
  prefixes: 12,
  freed_bytes: { ram: 1_288_490_189, ssd: 3_650_722_202 },
  kept_blocks: 2,
  pinned_blocks: 0,
}

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface FixtureService extends AsyncDisposable {
  readonly url: string
  /** `METHOD path?query`, with the body of POST. */
  readonly requests: readonly { readonly line: string; readonly body: unknown }[]
}

/** An error as the API answers it. */
export function refusal(code: ErrorCode, what: string, next?: string): Answer {
  const { status, type, code: short } = errorKinds[code]
  const message = next === undefined ? what : `${what} ${next}`
  const advice = next === undefined ? {} : { [adviceHeader]: encodeURIComponent(next) }
  const body = { error: { message, type, param: null, code: short } }
  return { status, body, headers: { 'x-prefixd-error': code, ...advice } }
}

/** `answers` are tried first, by path without its query. */
export async function startFixtureService(
  answers: Readonly<Record<string, Answer | (() => Answer)>> = {},
): Promise<FixtureService> {
  const requests: { line: string; body: unknown }[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const body: unknown = text === '' ? null : JSON.parse(text)
    requests.push({ line: `${request.method} ${request.url}`, body })
    const url = new URL(request.url ?? '/', 'http://fixture')
    const own = answers[url.pathname]
    const answer = own === undefined ? standard(url, body) : typeof own === 'function' ? own() : own
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function standard(url: URL, body: unknown): Answer {
  switch (url.pathname) {
    case '/v1/cache/stats':
      return { status: 200, body: statsFixture }
    case '/v1/cache/advise':
      return { status: 200, body: adviceFixture }
    case '/v1/cache/totals':
      return { status: 200, body: totalsFixture }
    case '/v1/requests':
      return { status: 200, body: { object: 'list', data: [requestFixture], next_cursor: null } }
    case '/v1/requests/req_mgx1k2':
      return { status: 200, body: requestFixture }
    case '/v1/workers':
      return { status: 200, body: workersFixture }
    case '/v1/cache/prefixes':
      return { status: 200, body: page(url) }
    case '/v1/cache/prefixes/9f2c':
      return { status: 200, body: detailFixture }
    case '/v1/cache/budgets':
      return { status: 200, body: budgetsFixture }
    case '/v1/cache/pins':
      return { status: 200, body: pinsFixture }
    case '/v1/cache/pins/9f2c':
      return { status: 200, body: pinsFixture.data[0] }
    case '/v1/cache/evict': {
      const dryRun = (body as EvictRequestJson).dry_run ?? false
      return { status: 200, body: { ...evictFixture, dry_run: dryRun } }
    }
    default:
      return refusal('PREFIXD_E_ROUTE_NOT_FOUND', 'There is no such route.')
  }
}

/** Pages of at most two, so that following the cursor is part of every listing. */
function page(url: URL): PrefixPageJson {
  const from = Number(url.searchParams.get('cursor') ?? '0')
  const limit = Math.min(2, Number(url.searchParams.get('limit')))
  const to = from + limit
  const next = to < prefixFixtures.length ? String(to) : null
  return { object: 'list', data: prefixFixtures.slice(from, to), total: 1265, next_cursor: next }
}
