/**
 * The product without HTTP: the cache on a directory, a worker process, and the pipeline between
 * them as src/main.ts wires it; but the logits of every sampled token can be seen.
 */
import { openCache, type ReuseMode, type TokenIds } from '../cache/index.ts'
import { type NodeEngine, startEngine, type WorkerOptions } from '../engines/index.ts'
import { openCatalog } from '../src/catalog/open.ts'
import { limits } from '../src/config/limits.ts'
import { createService } from '../src/pipeline/service.ts'
import type { CacheDirective, Receipt } from '../src/pipeline/types.ts'
import { greedy } from './greedy.ts'
import { recordLogits, type SampledToken } from './logits-recorder.ts'

export interface ExactServiceOptions {
  readonly engine: NodeEngine
  readonly modelPath: string
  readonly directory: string
  readonly reuse: ReuseMode
  readonly blockTokens: number
  /** Absent: as many as the product's default. */
  readonly boundaryTokens?: number
  readonly contextTokens: number
  readonly threads: number
  readonly ramBytes: number
  readonly ssdBytes: number
  readonly settings?: WorkerOptions['engine']
}

/** A greedy answer of a fixed length: `logits[i]` is what `tokens[i]` was taken from. */
export interface ExactAnswer {
  readonly tokens: readonly number[]
  readonly logits: readonly Float32Array[]
  readonly receipt: Receipt
}

export interface ExactService {
  answer(tokens: TokenIds, tokenCount: number, cache?: CacheUse): Promise<ExactAnswer>
  tokenize(text: string): Promise<TokenIds>
  /** What is read next comes from the SSD. */
  emptyRam(): Promise<void>
  /** Ends the worker and closes the directory; another one may open it again. */
  close(): Promise<void>
}

type CacheUse = Pick<CacheDirective, 'read' | 'write'>
const readAndWrite: CacheUse = { read: true, write: true }
const model = { id: 'exact', aliases: [], weightsDigest: 'one model per directory' }

/** Rejects with what keeps the worker from loading. A cache fault is thrown, not only logged. */
export async function openExactService(options: ExactServiceOptions): Promise<ExactService> {
  const faults: string[] = []
  const warn = (message: string, error: unknown): void => {
    faults.push(`${message}: ${error}`)
  }
  const opened = await openCache({
    ...limits,
    boundaryTokens: 1024,
    eviction: 'retention',
    ssdWritesPerDayBytes: null,
    ...options,
    now: Date.now,
    warn,
  })
  const { arena, cache } = opened
  const catalog = openCatalog({
    directory: options.directory,
    besideBlocks: false,
    keepText: false,
    machine: 'proof',
    storedPins: opened.pins,
    now: Date.now,
    warn,
  })
  const worker = startEngine(options.engine, {
    worker: { ...options, sequences: 1, engine: options.settings ?? {} },
    arena: arena.fd === null ? null : { fd: arena.fd, sizeBytes: arena.sizeBytes },
    view: arena,
    limits,
    log: () => {},
  })
  let heard: SampledToken[] = []
  const service = createService({
    version: 'proof',
    directory: options.directory,
    reuse: options.reuse,
    save: true,
    keepText: false,
    prefetch: false,
    maxAnswerTokens: null,
    models: [
      {
        ...model,
        engineName: options.engine,
        engine: recordLogits(worker, (event) => heard.push(event)),
        engineBytes: null,
      },
    ],
    cache,
    catalog,
    warn,
    record: null,
    onDone: () => {},
  })
  const close = async (): Promise<void> => {
    await worker.close(limits.drainMs)
    catalog.close()
    await opened.close()
  }
  try {
    await worker.ready()
  } catch (error) {
    await close()
    throw error
  }
  return {
    close,
    tokenize: (text) =>
      service.tokenize(model.id, text, { addSpecial: false, parseSpecial: false }),
    emptyRam: async () =>
      void (await service.cache.evict({ tier: 'ram' }, { dryRun: false, force: true })),
    async answer(tokens, tokenCount, directive = readAndWrite) {
      heard = []
      const request = requestOf(tokens, tokenCount, directive)
      let receipt: Receipt | null = null
      for await (const event of service.generate(request, new AbortController().signal)) {
        if (event.type === 'receipt') receipt = event.receipt
      }
      if (faults.length > 0) throw new Error(faults.join('\n'))
      if (receipt === null) throw new Error('the request ended without its receipt')
      return { ...sampled(heard), receipt }
    },
  }
}

const requestOf = (tokens: TokenIds, tokenCount: number, cache: CacheUse) => ({
  requestId: 'exact',
  dialect: 'completions' as const,
  model: model.id,
  prompt: { kind: 'tokens' as const, tokens },
  maxTokens: tokenCount,
  sampling: greedy,
  stop: [],
  cache: { ...cache, spill: true, ttlMs: null, salt: '' },
  ignoreEnd: true,
  tenant: null,
  session: null,
  hygiene: null,
})

function sampled(events: readonly SampledToken[]): Omit<ExactAnswer, 'receipt'> {
  const logits = events.map((event) => {
    if (event.logits === undefined) throw new Error('the engine reported no logits')
    return event.logits
  })
  return { tokens: events.map((event) => event.token), logits }
}
