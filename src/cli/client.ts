/** Typed calls of a running service. Every failure becomes one of our own errors. */
import type { BudgetsJson, BudgetsRequestJson } from '../api/native/budgets-schema.ts'
import type { CacheEventJson } from '../api/native/events-schema.ts'
import type {
  AdviceJson,
  RequestJson,
  RequestListJson,
  TotalsReportJson,
} from '../api/native/history-schema.ts'
import type {
  ErrorBodyJson,
  EvictReportJson,
  EvictRequestJson,
  PinJson,
  PinListJson,
  PinRequestJson,
  PrefixDetailJson,
  PrefixPageJson,
  PrefixQueryString,
  WorkerListJson,
} from '../api/native/schema.ts'
import type {
  EndRequestJson,
  ForkRequestJson,
  PauseRequestJson,
  SessionEndJson,
  SessionJson,
  SessionListJson,
  SessionResumedJson,
} from '../api/native/session-schema.ts'
import type { CacheStatsJson } from '../api/native/stats-schema.ts'
import type {
  ImportReportJson,
  VerifyEventJson,
  VerifyRequestJson,
  WarmReportJson,
} from '../api/native/upkeep-schema.ts'
import { limits } from '../config/limits.ts'
import { adviceHeader, type ErrorCode, errorKinds, PrefixdError } from '../errors.ts'
import type { Dialect } from '../pipeline/types.ts'
import { readEvents } from './event-frames.ts'
import { readObjects } from './object-lines.ts'

export interface Client {
  readonly url: URL
  stats(): Promise<CacheStatsJson>
  prefixes(query: PrefixQueryString): Promise<PrefixPageJson>
  prefix(id: string): Promise<PrefixDetailJson>
  evict(request: EvictRequestJson): Promise<EvictReportJson>
  pins(): Promise<PinListJson>
  pin(id: string, request: PinRequestJson): Promise<PinJson>
  unpin(id: string): Promise<PinJson>
  budgets(): Promise<BudgetsJson>
  /** What the budgets are then; what is there may take longer to go. */
  changeBudgets(change: BudgetsRequestJson): Promise<BudgetsJson>
  sessions(): Promise<SessionListJson>
  pauseSession(id: string, request: PauseRequestJson): Promise<SessionJson>
  /** Takes as long as reading its prefix takes. */
  resumeSession(id: string): Promise<SessionResumedJson>
  forkSession(id: string, request: ForkRequestJson): Promise<SessionJson>
  endSession(id: string, request: EndRequestJson): Promise<SessionEndJson>
  workers(): Promise<WorkerListJson>
  /** The latest first. */
  requests(limit: number): Promise<RequestListJson>
  request(id: string): Promise<RequestJson>
  totals(sinceMs: number): Promise<TotalsReportJson>
  verify(request: VerifyRequestJson): AsyncIterable<VerifyEventJson>
  advise(): Promise<AdviceJson>
  /** From now on; ends when the service does. */
  events(): AsyncIterable<CacheEventJson>
  /** Null: the service sees from the fields what the body speaks. Takes as long as it takes. */
  warm(body: object, dialect: Dialect | null): Promise<WarmReportJson>
  /** The bytes of the file as they come; they end with an error where the service has one. */
  exportFile(ids: readonly string[]): Promise<AsyncIterable<Uint8Array>>
  importFile(
    bytes: AsyncIterable<Uint8Array>,
    options: { readonly trust: boolean },
  ): Promise<ImportReportJson>
}

export interface ClientOptions {
  /** Root of the service, or its `/v1`. */
  readonly url: URL
  /** Sent with every call; null where the service wants none. */
  readonly apiKey: string | null
  readonly fetch: (url: URL, init: RequestInit) => Promise<Response>
  readonly timeoutMs?: number
  /** Ends a call that is under way. */
  readonly signal?: AbortSignal
}

/** Rejections: `PREFIXD_E_UNREACHABLE`, or the code that the service answered with. */
export function createClient(options: ClientOptions): Client {
  const get = (path: string) => call(options, path, { method: 'GET' })
  const pinPath = (id: string) => `cache/pins/${encodeURIComponent(id)}`
  return {
    url: options.url,
    stats: async () => (await get('cache/stats')) as CacheStatsJson,
    prefixes: async (query) =>
      (await get(`cache/prefixes?${new URLSearchParams(defined(query))}`)) as PrefixPageJson,
    prefix: async (id) =>
      (await get(`cache/prefixes/${encodeURIComponent(id)}`)) as PrefixDetailJson,
    evict: async (request) =>
      (await call(options, 'cache/evict', sent(request))) as EvictReportJson,
    pins: async () => (await get('cache/pins')) as PinListJson,
    pin: async (id, request) => (await call(options, pinPath(id), sent(request, 'PUT'))) as PinJson,
    unpin: async (id) => (await call(options, pinPath(id), { method: 'DELETE' })) as PinJson,
    budgets: async () => (await get('cache/budgets')) as BudgetsJson,
    changeBudgets: async (change) =>
      (await call(options, 'cache/budgets', sent(change, 'PATCH'))) as BudgetsJson,
    sessions: async () => (await get('sessions')) as SessionListJson,
    pauseSession: async (id, request) =>
      (await call(options, sessionPath(id, 'pause'), sent(request))) as SessionJson,
    resumeSession: async (id) => {
      const response = await ask(options, sessionPath(id, 'resume'), { method: 'POST' })
      return parse(await readBounded(response)) as SessionResumedJson
    },
    forkSession: async (id, request) =>
      (await call(options, sessionPath(id, 'fork'), sent(request))) as SessionJson,
    endSession: async (id, request) =>
      (await call(options, sessionPath(id, 'end'), sent(request))) as SessionEndJson,
    workers: async () => (await get('workers')) as WorkerListJson,
    requests: async (limit) => (await get(`requests?limit=${limit}`)) as RequestListJson,
    request: async (id) => (await get(`requests/${encodeURIComponent(id)}`)) as RequestJson,
    advise: async () => (await get('cache/advise')) as AdviceJson,
    events: () =>
      follow(
        options,
        'cache/events',
        { method: 'GET' },
        readEvents,
      ) as AsyncIterable<CacheEventJson>,
    totals: async (sinceMs) => (await get(`cache/totals?since_ms=${sinceMs}`)) as TotalsReportJson,
    verify: (request) =>
      follow(options, 'cache/verify', sent(request)) as AsyncIterable<VerifyEventJson>,
    warm: async (body, dialect) => {
      const path = `cache/warm${dialect === null ? '' : `?dialect=${dialect}`}`
      const response = await ask(options, path, sent(body))
      return parse(await readBounded(response)) as WarmReportJson
    },
    exportFile: async (ids) => {
      const query = new URLSearchParams({ ids: ids.join(',') })
      const response = await ask(options, `cache/export?${query}`, { method: 'GET' })
      return received(options, response)
    },
    importFile: async (bytes, { trust }) => {
      const headers = { 'content-type': 'application/octet-stream' }
      // `duplex` is wanted for streams, and not in the types of `fetch`.
      const init = { method: 'POST', headers, body: bytes, duplex: 'half' } as unknown
      const path = `cache/import${trust ? '?trust=true' : ''}`
      const response = await ask(options, path, init as RequestInit)
      return parse(await readBounded(response)) as ImportReportJson
    },
  }
}

const sessionPath = (id: string, verb: string): string =>
  `sessions/${encodeURIComponent(id)}/${verb}`

const sent = (request: object, method = 'POST'): RequestInit => ({
  method,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(request),
})

function defined(query: PrefixQueryString): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined))
}

/** Both `http://host:port` and the `http://host:port/v1` of OpenAI clients are accepted. */
function endpoint(base: URL, path: string): URL {
  const root = base.href.replace(/\/+$/, '').replace(/\/v1$/, '')
  return new URL(`${root}/v1/${path}`)
}

async function call(options: ClientOptions, path: string, init: RequestInit): Promise<unknown> {
  const timeoutMs = options.timeoutMs ?? limits.clientTimeoutMs
  const deadline = AbortSignal.timeout(timeoutMs)
  const signals = options.signal === undefined ? [deadline] : [deadline, options.signal]
  try {
    const url = endpoint(options.url, path)
    const signal = AbortSignal.any(signals)
    const headers = { ...init.headers, ...authorization(options.apiKey) }
    const response = await options.fetch(url, { ...init, headers, signal })
    const body = parse(await readBounded(response))
    if (response.ok && body !== undefined) return body
    throw response.ok
      ? notPrefixd(options.url, 'did not answer in JSON')
      : refusal(options.url, response, body)
  } catch (error) {
    if (error instanceof PrefixdError || options.signal?.aborted) throw error
    throw unreachable(options.url, error, deadline.aborted ? timeoutMs : null)
  }
}

/** The objects of an answer as they come, for as long as it takes. */
async function* follow(
  options: ClientOptions,
  path: string,
  init: RequestInit,
  read: (body: ReadableStream<Uint8Array>) => AsyncIterable<object> = readObjects,
): AsyncGenerator<object> {
  const { url, signal } = options
  const response = await ask(options, path, init)
  try {
    if (response.body !== null) yield* read(response.body)
  } catch (error) {
    if (error instanceof PrefixdError || signal?.aborted) throw error
    throw unreachable(url, error, null)
  }
}

/** The bytes of a file; it may break off where a record cannot be read. */
async function* received(
  { url, signal }: ClientOptions,
  { body }: Response,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body ?? []
  } catch (cause) {
    if (signal?.aborted) throw cause
    const message = `the service at ${url.origin} broke off in the midst of the file`
    const next = 'see its log; `prefixd verify` finds records that cannot be read'
    throw new PrefixdError('PREFIXD_E_UNREACHABLE', message, { next, cause })
  }
}

/** An answer whose body takes as long as it takes. */
async function ask(options: ClientOptions, path: string, init: RequestInit): Promise<Response> {
  const { url, signal } = options
  try {
    const headers = { ...init.headers, ...authorization(options.apiKey) }
    const given = { ...init, headers, ...(signal === undefined ? {} : { signal }) }
    const response = await options.fetch(endpoint(url, path), given)
    if (!response.ok) throw refusal(url, response, parse(await readBounded(response)))
    return response
  } catch (error) {
    if (error instanceof PrefixdError || signal?.aborted) throw error
    throw unreachable(url, error, null)
  }
}

const authorization = (apiKey: string | null): Record<string, string> =>
  apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > limits.clientReplyBytes) throw new Error('the reply is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Undefined where the text is no JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(url: URL, cause: unknown, timedOutMs: number | null): PrefixdError {
  if (timedOutMs !== null) {
    return new PrefixdError(
      'PREFIXD_E_UNREACHABLE',
      `prefixd at ${url.origin} did not answer within ${timedOutMs / 1000} s`,
      { next: 'see what it is doing in the terminal of `prefixd serve`, then try again', cause },
    )
  }
  const reason = systemCode(cause)
  const why = reason === null || reason === 'ECONNREFUSED' ? '' : ` (${reason})`
  return new PrefixdError(
    'PREFIXD_E_UNREACHABLE',
    `prefixd is not running at ${url.origin}${why}`,
    { next: 'start it with `prefixd serve`, or name another address with --url', cause },
  )
}

/** `fetch` hides the system's error code one or two causes deep. */
function systemCode(error: unknown): string | null {
  let current: unknown = error
  for (let depth = 0; depth < 4 && current instanceof Error; depth += 1) {
    const { code, errors } = current as { code?: unknown; errors?: readonly unknown[] }
    if (typeof code === 'string') return code
    current = errors?.[0] ?? current.cause
  }
  return null
}

function notPrefixd(url: URL, how: string): PrefixdError {
  return new PrefixdError('PREFIXD_E_UNREACHABLE', `the server at ${url.origin} ${how}`, {
    next: 'check that prefixd listens there, or name another address with --url',
  })
}

/** The service's own words, under the code that it had on the other side of the wire. */
function refusal(url: URL, response: Response, body: unknown): PrefixdError {
  const error = (body as Partial<ErrorBodyJson> | null)?.error
  if (typeof error?.message !== 'string') {
    return notPrefixd(url, `answered ${response.status}, but not as prefixd does`)
  }
  const code = response.headers.get('x-prefixd-error') ?? ''
  const known = Object.hasOwn(errorKinds, code) ? (code as ErrorCode) : 'PREFIXD_E_INTERNAL'
  const { message, ...advice } = withoutAdvice(error.message, response.headers.get(adviceHeader))
  return new PrefixdError(known, message, {
    ...(error.param ? { field: error.param } : {}),
    ...advice,
    // The service speaks of headers, and here there are none to set.
    ...(known === 'PREFIXD_E_API_KEY' || known === 'PREFIXD_E_ADMIN_KEY'
      ? { next: 'set PREFIXD_API_KEY to a key of the service that has the word admin' }
      : {}),
  })
}

/** What is wrong and what to try next, which the service has sent as one text. */
function withoutAdvice(
  message: string,
  encoded: string | null,
): { message: string; next?: string } {
  const next = encoded === null ? '' : decoded(encoded)
  if (next === '' || !message.endsWith(` ${next}`)) return { message }
  return { message: message.slice(0, -next.length - 1), next }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
