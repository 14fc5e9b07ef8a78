/** The product behind the API: one model, its engine and the cache. */
import { performance } from 'node:perf_hooks'
import { type Cache, namespaceOf } from '../../cache/index.ts'
import type { Engine, ModelInfo } from '../../engines/index.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import { residentBytes } from '../observe/resident-memory.ts'
import { createAdmin } from './admin.ts'
import { withinDeadlines } from './deadline.ts'
import { embed } from './embed.ts'
import { type GenerateContext, generate } from './generate.ts'
import { readNote, writeNote } from './namespace-note.ts'
import { createRateMeter } from './rates.ts'
import { render } from './render.ts'
import { createSessions } from './sessions.ts'
import { createTally } from './tally.ts'
import { checkVocabulary } from './tokenize.ts'
import type {
  GenerateEvent,
  GenerateRequest,
  ModelCard,
  Receipt,
  Service,
  WorkerReport,
} from './types.ts'

export interface ServiceOptions {
  readonly version: string
  readonly directory: string
  readonly reuse: 'token' | 'block'
  /** False: requests only read the cache. */
  readonly save: boolean
  /** Most tokens of one answer, whatever was asked for; null: no limit of the service's own. */
  readonly maxAnswerTokens: number | null
  readonly model: {
    readonly id: string
    readonly aliases: readonly string[]
    readonly weightsDigest: string
    readonly engineName: string
  }
  readonly engine: Engine
  /** What the worker was planned to take; null: nobody can tell. */
  readonly engineBytes: number | null
  readonly cache: Cache
  readonly warn: (message: string, error: unknown) => void
  /** Every request ends here once: with what the engine confirmed, or with its error. */
  readonly onDone: (request: GenerateRequest, receipt: Receipt | null, error: Error | null) => void
}

/** Agents ask for 32,000 tokens, and small models may ramble that long. Null: no limit. */
const fewer = (asked: number | null, most: number | null): number | null =>
  asked === null || most === null ? (asked ?? most) : Math.min(asked, most)

const deadlines = { queueMs: limits.queueWaitMs, prefillMs: limits.prefillMs }
const perSecond = (perMs: number | null) => (perMs === null ? null : perMs * 1000)

export function createService(options: ServiceOptions): Service {
  const { engine, cache, reuse, model } = options
  const startedAtMs = Date.now()
  const rates = createRateMeter()
  const tally = createTally()
  const sessions = createSessions()
  let info: ModelInfo | null = null

  const namespaceFor = (
    { fingerprint, layout }: ModelInfo,
    salt: string,
    tenant: string | null,
  ) => {
    const namespace = namespaceOf({
      fingerprint,
      weightsDigest: model.weightsDigest,
      blockTokens: cache.blockTokens,
      salt,
    })
    const { kinds } = layout
    const note = { model: model.id, fingerprint, kinds, ...(tenant === null ? {} : { tenant }) }
    cache.note(namespace, writeNote(note))
    return namespace
  }

  // A worker that cannot start rejects every call; nobody has to listen here.
  engine.ready().then(
    (ready) => {
      info = ready
    },
    () => undefined,
  )

  const context: GenerateContext = {
    engine,
    cache,
    reuse,
    namespaceOf: (ready, request) => namespaceFor(ready, request.cache.salt, request.tenant),
    rates,
    onRestored(restored, plan) {
      if (restored.failure !== null) {
        options.warn('a restore failed; the prompt is computed instead', restored.failure)
      }
      if (plan.records.length > 0) tally.restored(restored.failure === null)
      if (plan.tier !== null) rates.restored(plan.tier, restored.sizeBytes, restored.workMs)
      if (plan.miss?.reason === 'restore_not_worth_it') rates.declined()
    },
  }

  /** Every route that takes a model refuses one that is not served. */
  function known(name: string): Engine {
    if (name === model.id || model.aliases.includes(name)) return engine
    throw new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `The model '${name}' is not served here.`, {
      field: 'model',
      next: `Use '${model.id}', or start prefixd with --model ${name}.`,
    })
  }

  async function* counted(
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent> {
    known(request.model)
    const cache = { ...request.cache, write: request.cache.write && options.save }
    let receipt: Receipt | null = null
    let failure: Error | null = null
    try {
      const limited = {
        ...request,
        cache,
        maxTokens: fewer(request.maxTokens, options.maxAnswerTokens),
      }
      const run = (ended: AbortSignal) => generate(limited, context, ended)
      for await (const event of withinDeadlines(run, signal, deadlines)) {
        if (event.type === 'receipt') receipt = event.receipt
        yield event
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
      throw error
    } finally {
      // A client that goes away ends the generator at a yield: no receipt, and nothing was thrown.
      if (receipt === null) failure ??= new Error('the client went away')
      if (receipt === null) tally.failed()
      else {
        tally.finished(receipt, rates.rates().prefillTokensPerMs)
        sessions.note(request, receipt)
      }
      options.onDone(request, receipt, failure)
    }
  }

  return {
    generate: counted,
    models: (): ModelCard[] => [
      {
        id: model.id,
        aliases: model.aliases,
        createdAtMs: startedAtMs,
        state: engine.status().state,
        info,
      },
    ],
    workers: () => [workerReport(options, info)],
    render: async (name, input) => {
      const worker = known(name)
      return render(worker, await worker.ready(), input)
    },
    tokenize: async (name, text, how) => known(name).tokenize(text, how),
    detokenize: async (name, tokens) => {
      const worker = known(name)
      checkVocabulary(tokens, await worker.ready(), 'tokens')
      return worker.detokenize(tokens)
    },
    pieces: async (name, tokens) => known(name).pieces(tokens),
    embed: async (name, prompt, field) => embed(known(name), prompt, field),
    cache: createAdmin({
      cache,
      modelOf: (namespace) => readNote(cache.notes.get(namespace))?.model ?? 'unknown',
      tenantOf: (namespace) => readNote(cache.notes.get(namespace))?.tenant ?? null,
      kindsOf: (namespace) => readNote(cache.notes.get(namespace))?.kinds ?? ['kv'],
      sessionsAt: (prefix) => sessions.at(prefix),
      now: () => Date.now(),
      stats: () => {
        const { prefillTokensPerMs, restoreBytesPerMs } = rates.rates()
        return {
          version: options.version,
          upMs: performance.now(),
          blockTokens: cache.blockTokens,
          reuse,
          directory: options.directory,
          ...tally.counted(),
          sessions: sessions.count,
          rates: {
            prefillTokensPerSecond: perSecond(prefillTokensPerMs),
            restoreBytesPerSecond: {
              ram: perSecond(restoreBytesPerMs.ram),
              ssd: perSecond(restoreBytesPerMs.ssd),
            },
          },
        }
      },
    }),
  }
}

/** What is known of the model only when it is loaded is null until then. */
function workerReport(
  { model, engine, engineBytes }: ServiceOptions,
  info: ModelInfo | null,
): WorkerReport {
  const status = engine.status()
  return {
    model: model.id,
    engine: model.engineName,
    status,
    contextTokens: info?.contextTokens ?? null,
    sequences: info?.sequences ?? null,
    layout: info?.layout ?? null,
    device: info?.device ?? null,
    memory: { estimatedBytes: engineBytes, residentBytes: residentBytes(status.pid) },
  }
}
