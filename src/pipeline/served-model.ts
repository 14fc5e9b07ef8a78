/** One model of the service: its worker, whose blocks its requests find, and what that costs it. */
import { boundaryKindsOf, type Cache, type Namespace, namespaceOf } from '../../cache/index.ts'
import type { Engine, ModelInfo } from '../../engines/index.ts'
import type { MeasuredModel, RateLog } from '../catalog/types.ts'
import { residentBytes } from '../observe/resident-memory.ts'
import { type GenerateContext, generate } from './generate.ts'
import { writeNote } from './namespace-note.ts'
import { createPrefetch, noPrefetch } from './prefetch.ts'
import { createRateMeter } from './rates.ts'
import { reckonStored } from './reckon-stored.ts'
import { createTally, savedPrefill, type Tally } from './tally.ts'
import type {
  GenerateEvent,
  GenerateRequest,
  ModelCard,
  ModelStats,
  Receipt,
  RecordedRequest,
  WorkerReport,
} from './types.ts'

export interface ModelOptions {
  readonly id: string
  readonly aliases: readonly string[]
  readonly weightsDigest: string
  readonly engineName: string
  readonly engine: Engine
  /** What the worker was planned to take; null: nobody can tell. */
  readonly engineBytes: number | null
}

/** What all models of the service have in common. */
export interface SharedByModels {
  readonly cache: Cache
  readonly reuse: 'token' | 'block'
  /** See `GenerateContext.onEnd`. */
  readonly onEnd: GenerateContext['onEnd']
  /** Read from the SSD what waiting requests will want. */
  readonly prefetch: boolean
  /** What was measured of them, kept over restarts. */
  readonly rates: RateLog
  /** Counts for all of them; each counts for itself as well. */
  readonly tally: Tally
  readonly warn: (message: string, error: unknown) => void
  /** Sees what each answered request asked for; null: nobody wants to know. */
  readonly record: ((request: RecordedRequest) => void) | null
}

/** Whose blocks they are. */
export interface Owner {
  readonly salt: string
  readonly tenant: string | null
}

export interface ServedModel {
  readonly id: string
  readonly engine: Engine
  readonly weightsDigest: string
  /** Where this model's blocks of this owner are. */
  namespaceFor(info: ModelInfo, owner: Owner): Namespace
  answersTo(name: string): boolean
  generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent>
  /** Every request ends here once; null: nothing was confirmed. Returns the prefill it saved. */
  ended(receipt: Receipt | null): number
  /** Does it go on only where more than rows is stored? False until it is loaded. */
  needsBoundary(): boolean
  card(): ModelCard
  report(): WorkerReport
  stats(): ModelStats
}

const perSecond = (perMs: number | null) => (perMs === null ? null : perMs * 1000)

export function serveModel(options: ModelOptions, shared: SharedByModels): ServedModel {
  const { id, aliases, engine, weightsDigest } = options
  const { cache, tally } = shared
  const startedAtMs = Date.now()
  let measured: MeasuredModel | null = null
  const rates = createRateMeter((latest) => {
    if (measured !== null) shared.rates.note(measured, latest)
  })
  const own = createTally()
  let info: ModelInfo | null = null

  // A worker that cannot start rejects every call; nobody has to listen here.
  engine.ready().then(
    (ready) => {
      info = ready
      measured = measuredAs(ready, weightsDigest, cache.blockTokens)
      const earlier = shared.rates.latest(measured)
      if (earlier === null) return
      rates.goOnFrom(earlier)
      reckonStored(cache, id, earlier).catch((error) =>
        shared.warn('what was stored earlier goes by its last use alone', error),
      )
    },
    () => undefined,
  )

  function namespaceFor({ fingerprint, layout }: ModelInfo, { salt, tenant }: Owner): Namespace {
    const { blockTokens } = cache
    const namespace = namespaceOf({ fingerprint, weightsDigest, blockTokens, salt })
    const { kinds } = layout
    const owned = tenant === null ? {} : { tenant }
    cache.note(namespace, writeNote({ model: id, fingerprint, weightsDigest, kinds, ...owned }))
    return namespace
  }

  const context: GenerateContext = {
    engine,
    cache,
    reuse: shared.reuse,
    namespaceOf: (ready, { cache: { salt }, tenant }) => namespaceFor(ready, { salt, tenant }),
    rates,
    prefetch: shared.prefetch
      ? createPrefetch((error) => shared.warn('nothing could be read ahead', error))
      : noPrefetch,
    onEnd: shared.onEnd,
    onAnswered({ layout }, { namespace, tokens }, receipt) {
      if (shared.record === null || layout.kinds.length === 0) return
      const { blockTokens } = cache
      const { prefillTokensPerMs } = rates.rates()
      shared.record({
        model: id,
        hashes: cache.hashesOf(namespace, tokens),
        promptTokens: receipt.promptTokens,
        generatedTokens: receipt.generatedTokens,
        blockTokens,
        blockBytes: Math.max(1, layout.kvFixedBytes + blockTokens * layout.kvBytesPerToken),
        blockMs: prefillTokensPerMs === null ? null : blockTokens / prefillTokensPerMs,
      })
    },
    onRestored(restored, plan) {
      if (restored.failure !== null) {
        shared.warn('a restore failed; the prompt is computed instead', restored.failure)
      }
      if (plan.records.length > 0) tally.restored(restored.failure === null)
      if (plan.tier !== null) rates.restored(plan.tier, restored.sizeBytes, restored.workMs)
      if (plan.miss?.reason === 'restore_not_worth_it') rates.declined()
    },
  }

  return {
    id,
    engine,
    weightsDigest,
    namespaceFor,
    answersTo: (name) => name === id || aliases.includes(name),
    generate: (request, signal) => generate(request, context, signal),
    ended(receipt) {
      const { prefillTokensPerMs } = rates.rates()
      for (const each of [tally, own]) {
        if (receipt === null) each.failed()
        else each.finished(receipt, prefillTokensPerMs)
      }
      return receipt === null ? 0 : savedPrefill(receipt, prefillTokensPerMs)
    },
    needsBoundary: () => info !== null && boundaryKindsOf(info.layout).length > 0,
    card: () => ({ id, aliases, createdAtMs: startedAtMs, state: engine.status().state, info }),
    report: () => reportOf(options, info),
    stats() {
      const { prefillTokensPerMs, restoreBytesPerMs } = rates.rates()
      const { requests, tokens } = own.counted()
      return {
        model: id,
        requests,
        tokens,
        rates: {
          prefillTokensPerSecond: perSecond(prefillTokensPerMs),
          restoreBytesPerSecond: {
            ram: perSecond(restoreBytesPerMs.ram),
            ssd: perSecond(restoreBytesPerMs.ssd),
          },
        },
      }
    },
  }
}

/** What a speed depends on beside the machine: all that blocks depend on, and who computes. */
function measuredAs(
  { fingerprint, device }: ModelInfo,
  weightsDigest: string,
  blockTokens: number,
): MeasuredModel {
  return { namespace: namespaceOf({ fingerprint, weightsDigest, blockTokens, salt: '' }), device }
}

/** What is known of the model only when it is loaded is null until then. */
function reportOf(options: ModelOptions, info: ModelInfo | null): WorkerReport {
  const status = options.engine.status()
  return {
    model: options.id,
    engine: options.engineName,
    status,
    contextTokens: info?.contextTokens ?? null,
    sequences: info?.sequences ?? null,
    layout: info?.layout ?? null,
    device: info?.device ?? null,
    memory: { estimatedBytes: options.engineBytes, residentBytes: residentBytes(status.pid) },
  }
}
