/** A `Service` that says what a test tells it to, and remembers what it was asked. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Plan } from '../../cache/types.ts'
import type { ModelInfo } from '../../engines/types.ts'
import { noTotals } from '../../src/catalog/totals.ts'
import { PrefixdError } from '../../src/errors.ts'
import type {
  CacheStats,
  EvictOptions,
  EvictSelector,
  GenerateEvent,
  GenerateRequest,
  ModelCard,
  PinSummary,
  PrefixDetail,
  PrefixQuery,
  Receipt,
  Service,
  WorkerReport,
} from '../../src/pipeline/types.ts'
import { scriptedBudgets } from './scripted-budgets.ts'

export type Script = (request: GenerateRequest, signal: AbortSignal) => AsyncIterable<GenerateEvent>

export interface ScriptedService extends Service {
  readonly requests: readonly GenerateRequest[]
  readonly rendered: readonly unknown[]
  readonly evictions: readonly ({ selector: EvictSelector } & EvictOptions)[]
  readonly pinned: readonly { id: string; ttlMs: number | null }[]
  readonly queries: readonly PrefixQuery[]
  script: Script
  cards: ModelCard[]
}

export function planOf(overrides: Partial<Plan> = {}): Plan {
  return {
    outcome: 'hit',
    promptTokens: 1024,
    records: [],
    computeFrom: 1023,
    boundaries: [],
    matchedTokens: 1024,
    tier: 'ssd',
    miss: null,
    estimate: { restoreMs: 12.5, prefillMs: 4000 },
    reasons: ['all 1,024 tokens are stored'],
    ...overrides,
  }
}

export const plannedOf = (overrides: Partial<Plan> = {}): GenerateEvent => ({
  type: 'planned',
  plan: planOf(overrides),
  ms: { load: 0.25, queue: 0.5, tokenize: 2, plan: 0.25 },
})

export function receiptOf(overrides: Partial<Receipt> = {}): Receipt {
  return {
    promptTokens: 1024,
    restoredTokens: 1000,
    computedTokens: 24,
    savedTokens: 20,
    generatedTokens: 2,
    status: 'hit',
    tier: 'ssd',
    prefix: '9f2c41d07ab3',
    blocks: { hit: 4, total: 4, blockTokens: 256 },
    miss: null,
    reasons: ['all 1,024 tokens are stored'],
    hygiene: null,
    ms: {
      load: 0.25,
      queue: 0.5,
      tokenize: 2,
      plan: 0.25,
      restore: 11,
      prefill: 48,
      decode: 10,
      save: 3,
      ttft: 64,
    },
    ...overrides,
  }
}

/** Plan, restore, progress, these pieces of text, the end, the receipt. */
export function answering(
  pieces: readonly string[] = ['Hello', ' world'],
  receipt: Receipt = receiptOf(),
): Script {
  return async function* () {
    yield plannedOf()
    yield { type: 'restored', restoredTokens: receipt.restoredTokens }
    yield { type: 'prefill', processedTokens: 1024, totalTokens: 1024 }
    for (const text of pieces) yield { type: 'text', text }
    yield { type: 'finish', finishReason: 'stop' }
    yield { type: 'receipt', receipt }
  }
}

/** A service whose model is loaded when it plans, and no sooner. */
export function loadingService(): ScriptedService {
  const service = scriptedService(async function* (request, signal) {
    service.cards = [modelCard()]
    yield* answering()(request, signal)
  })
  service.cards = [modelCard({ state: 'starting', info: null })]
  return service
}

/** Ends as the pipeline does when its signal aborts; never by itself. */
export async function untilAborted(signal: AbortSignal): Promise<never> {
  await delay(600_000, null, { signal, ref: false })
  throw new Error('nobody aborted')
}

/** Yields the plan, then waits for ever. `aborted` resolves with the reason. */
export function hanging(): { script: Script; started: Promise<void>; aborted: Promise<unknown> } {
  const started = Promise.withResolvers<void>()
  const aborted = Promise.withResolvers<unknown>()
  return {
    started: started.promise,
    aborted: aborted.promise,
    script: async function* (_request, signal) {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason))
      yield plannedOf()
      started.resolve()
      await untilAborted(signal)
    },
  }
}

/** Fails before its plan. */
export const failing = (error: unknown): Script =>
  // biome-ignore lint/correctness/useYield: it fails before there is anything to yield
  async function* () {
    throw error
  }

export const modelInfo: ModelInfo = {
  fingerprint: {
    engine: 'fake',
    build: 'fake 1',
    stateFormat: 'fake/1',
    architecture: 'fake',
    kvTypes: 'f16/f16',
    flashAttention: true,
    settings: {},
  },
  layout: {
    kinds: ['kv'],
    sliceable: true,
    refusal: null,
    kvBytesPerToken: 64,
    kvFixedBytes: 16,
    rowBytesPerToken: 64,
    boundaryBytes: 0,
  },
  contextTokens: 8192,
  trainedContextTokens: 16384,
  vocabularySize: 49152,
  parameterCount: 134_515_008,
  weightsBytes: 100_000_000,
  generates: true,
  embedding: null,
  sequences: 2,
  hasChatTemplate: true,
  chatTemplate: null,
  gap: null,
  endTokens: [],
  device: 'CPU, 1 thread',
}

export const modelCard = (overrides: Partial<ModelCard> = {}): ModelCard => ({
  id: 'fake',
  aliases: ['default'],
  createdAtMs: 1_700_000_000_000,
  state: 'ready',
  info: modelInfo,
  ...overrides,
})

const counted = {
  requests: { total: 4, hit: 1, partial: 1, miss: 1, bypass: 1, failed: 0 },
  tokens: {
    prompt: 100,
    restoredRam: 10,
    restoredSsd: 20,
    computed: 70,
    saved: 70,
    generated: 5,
  },
}

const stats: CacheStats = {
  version: '0.1.0',
  upMs: 5000,
  blockTokens: 256,
  reuse: 'token',
  directory: 'data',
  tiers: [
    {
      tier: 'ram',
      usedBytes: 10,
      capacityBytes: 100,
      blocks: 1,
      reclaimableBytes: 10,
      boundaryBytes: 0,
      evictedRecords: 0,
      readBytes: 1,
      writtenBytes: 2,
    },
  ],
  prefixes: 1,
  blocks: 4,
  ...counted,
  savedPrefillMs: 1234,
  sessions: 0,
  hygiene: [],
  restores: { ok: 2, failed: 0 },
  corruptBlocks: 0,
  failedWrites: 0,
  refusedWrites: 0,
  advice: null,
  ssdWrites: null,
  ssdDisk: null,
  ttftMs: { hit: 12, miss: null },
  models: [
    {
      model: 'fake',
      ...counted,
      rates: {
        prefillTokensPerSecond: 130,
        restoreBytesPerSecond: { ram: 1e9, ssd: null },
      },
    },
  ],
}

const prefix: PrefixDetail = {
  id: '9f2c41d07ab3',
  model: 'fake',
  namespace: 'n',
  tokens: 1024,
  restorableTokens: 1024,
  durableTokens: 1024,
  sizeBytes: 65_552,
  uniqueBytes: 16_400,
  tiers: ['ram', 'ssd'],
  hits: 3,
  createdAtMs: 1_700_000_000_000,
  lastUsedAtMs: 1_700_000_001_000,
  leased: false,
  pinned: false,
  pinnedUntilMs: null,
  tenant: null,
  sessions: [],
  grownFrom: null,
  label: null,
  blocks: [
    {
      hash: '9f2c41d07ab30000',
      from: 768,
      to: 1024,
      sizeBytes: 16_400,
      tiers: ['ssd'],
      sharedBy: 1,
      grid: true,
      kinds: ['kv'],
    },
  ],
  storedBy: 'fake: fake 1',
  keptBecause: [{ reason: 'pin', prefix: '9f2c41d07ab3', untilMs: null }],
  recentUses: 3,
  idleWeight: 2.5,
  mismatches: [{ name: 'build', stored: 'fake 1', served: 'fake 2' }],
  reclaimableBytes: 16_400,
}

const pin: PinSummary = {
  id: '9f2c41d07ab3',
  model: 'fake',
  tokens: 1024,
  sizeBytes: 65_552,
  state: 'kept',
  untilMs: null,
  createdAtMs: 1_700_000_000_000,
}

const worker: WorkerReport = {
  model: 'fake',
  engine: 'fake',
  status: {
    state: 'ready',
    pid: 42,
    restarts: 0,
    startedAtMs: 1_700_000_000_000,
    lastError: null,
    busySequences: 0,
    queuedRequests: 0,
  },
  contextTokens: 8192,
  sequences: 2,
  layout: modelInfo.layout,
  device: 'CPU, 1 thread',
  memory: { estimatedBytes: 700_000_000, residentBytes: null },
}

const noSession = (): never => {
  throw new PrefixdError('PREFIXD_E_SESSION_NOT_FOUND', 'No session of this id is remembered.')
}

/** One token per UTF-8 byte. */
export function scriptedService(script: Script = answering()): ScriptedService {
  const requests: GenerateRequest[] = []
  const rendered: unknown[] = []
  const evictions: ({ selector: EvictSelector } & EvictOptions)[] = []
  const pinned: { id: string; ttlMs: number | null }[] = []
  const queries: PrefixQuery[] = []
  const service: ScriptedService = {
    requests,
    rendered,
    evictions,
    pinned,
    queries,
    script,
    cards: [modelCard()],
    generate(request, signal) {
      requests.push(request)
      return service.script(request, signal)
    },
    async *followCache() {},
    models: () => service.cards,
    workers: () => [worker],
    render: async (_model, input) => {
      rendered.push(input)
      return input.messages.map(({ role, content }) => `<${role}>${content}`).join('')
    },
    tokenize: async (_model, text) => Uint32Array.from(Buffer.from(text)),
    detokenize: async (_model, tokens) => Buffer.from(tokens).toString(),
    embed: async (_model, prompt) => {
      const tokens = prompt.kind === 'tokens' ? prompt.tokens : Buffer.from(prompt.text)
      return { vector: Float32Array.of(0.6, -0.8), promptTokens: tokens.length }
    },
    pieces: async (_model, tokens) => [...tokens].map((token) => Uint8Array.of(token)),
    history: {
      list: async () => ({ requests: [], nextCursor: null }),
      find: async () => null,
    },
    budgets: scriptedBudgets(),
    transfer: {
      async *exportPrefixes() {},
      importPrefixes: () => Promise.reject(new Error('not scripted')),
    },
    sessions: {
      list: () => [],
      pause: noSession,
      resume: async () => noSession(),
      fork: noSession,
      end: async () => noSession(),
    },
    cache: {
      stats: () => stats,
      advice: () => ({ sinceMs: 0, steps: [], best: null }),
      totals: async (fromMs) => ({ fromMs, all: noTotals, models: [], days: [] }),
      prefixes: (query) => {
        queries.push(query)
        return { prefixes: [prefix], total: 1, nextCursor: null }
      },
      prefix: (id) => {
        if (prefix.id.startsWith(id)) return prefix
        throw new PrefixdError('PREFIXD_E_PREFIX_NOT_FOUND', `There is no prefix "${id}".`)
      },
      async *verify() {
        const report = { records: 0, sizeBytes: 0, findings: 0, corrupt: 0, removedRecords: 0 }
        yield { type: 'done', report }
      },
      pins: () => ({ pins: [pin], tiers: [{ tier: 'ssd', keptBytes: 65_552, mostBytes: 5e8 }] }),
      pin: async (id, ttlMs) => {
        pinned.push({ id, ttlMs })
        return pin
      },
      unpin: async () => pin,
      evict: async (selector, { dryRun, force }) => {
        evictions.push({ selector, dryRun, force })
        return {
          dryRun,
          blocks: 4,
          prefixes: 1,
          freedBytes: { ram: 0, ssd: 65_552 },
          keptBlocks: 0,
          pinnedBlocks: 0,
        }
      },
    },
  }
  return service
}
