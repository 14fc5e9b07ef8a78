/** The product behind the API: models with their workers, and the cache that they share. */
import { performance } from 'node:perf_hooks'
import type { Cache, Namespace, Plan, PrefixLease } from '../../cache/index.ts'
import type { Catalog } from '../catalog/types.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError, shown } from '../errors.ts'
import { createAdmin } from './admin.ts'
import type { Share } from './budget-types.ts'
import { createBudgets } from './budgets.ts'
import { withinDeadlines } from './deadline.ts'
import { embed } from './embed.ts'
import { missedBlocks, requestRecord, requestTotals } from './history.ts'
import { readNote } from './namespace-note.ts'
import { pinSaved } from './pin-saved.ts'
import { labelOf, prefixesOf, reconcile } from './prefix-history.ts'
import { render } from './render.ts'
import { type ModelOptions, type ServedModel, serveModel } from './served-model.ts'
import { createSessionVerbs } from './session-verbs.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { createTally } from './tally.ts'
import { checkVocabulary } from './tokenize.ts'
import { createTransfer } from './transfer.ts'
import type { GenerateEvent, GenerateRequest, Receipt, RecordedRequest, Service } from './types.ts'
import { watchCache } from './watch-cache.ts'

export interface ServiceOptions {
  readonly version: string
  readonly directory: string
  readonly reuse: 'token' | 'block'
  /** False: requests only read the cache. */
  readonly save: boolean
  /** Prefixes are known by their first words, too; see the setting `keep-text`. */
  readonly keepText: boolean
  /** What single models and tenants may hold. */
  readonly shares?: readonly Share[]
  /** See `SharedByModels.prefetch`. */
  readonly prefetch: boolean
  /** Most tokens of one answer, whatever was asked for; null: no limit of the service's own. */
  readonly maxAnswerTokens: number | null
  /** The default one first; no two answer to one name. */
  readonly models: readonly ModelOptions[]
  readonly cache: Cache
  readonly catalog: Catalog
  readonly warn: (message: string, error: unknown) => void
  /** Sees what each answered request asked for; null: nobody wants to know. */
  readonly record: ((request: RecordedRequest) => void) | null
  /** Every request ends here once: with what the engine confirmed, or with its error. */
  readonly onDone: (request: GenerateRequest, receipt: Receipt | null, error: Error | null) => void
}

/** Agents ask for 32,000 tokens, and small models may ramble that long. Null: no limit. */
const fewer = (asked: number | null, most: number | null): number | null =>
  asked === null || most === null ? (asked ?? most) : Math.min(asked, most)

const deadlines = { queueMs: limits.queueWaitMs, prefillMs: limits.prefillMs }

/** Those whose requests are remembered go on where they ended. */
function rememberedSessions({ requests }: Catalog): Sessions {
  const sessions = createSessions(() => Date.now())
  for (const last of requests.lastOfSessions()) {
    if (last.receipt !== null) sessions.note(last, last.receipt)
  }
  return sessions
}

/** What was noted of a namespace, for people. */
function namesOf(cache: Cache) {
  const noteOf = (namespace: Namespace) => readNote(cache.notes.get(namespace))
  return {
    modelOf: (namespace: Namespace) => noteOf(namespace)?.model ?? 'unknown',
    kindsOf: (namespace: Namespace) => noteOf(namespace)?.kinds ?? ['kv'],
    tenantOf: (namespace: Namespace) => noteOf(namespace)?.tenant ?? null,
    fingerprintOf: (namespace: Namespace) => noteOf(namespace)?.fingerprint ?? null,
  }
}

export function createService(options: ServiceOptions): Service {
  const { cache, catalog, reuse, prefetch, warn, record } = options
  const tally = createTally()
  const sessions = rememberedSessions(catalog)
  reconcile(cache, catalog.prefixes).catch((error) =>
    warn('the prefixes of the catalog could not be compared with those that are stored', error),
  )
  const onEnd = (request: GenerateRequest, lease: PrefixLease): void => {
    const label = options.keepText ? labelOf(request.prompt) : null
    for (const prefix of prefixesOf(lease, cache, label)) catalog.prefixes.note(prefix)
  }
  const { rates } = catalog
  const shared = { cache, reuse, prefetch, rates, tally, warn, record, onEnd }
  const models = options.models.map((model) => serveModel(model, shared))

  /** Every route that takes a model refuses one that is not served. */
  function named(name: string): ServedModel {
    const model = models.find((each) => each.answersTo(name))
    if (model !== undefined) return model
    const served = models.map(({ id }) => `'${id}'`).join(' or ')
    const asked = shown(name)
    throw new PrefixdError(
      'PREFIXD_E_MODEL_NOT_FOUND',
      `The model '${asked}' is not served here.`,
      { field: 'model', next: `Use ${served}, or start prefixd with --model ${asked}.` },
    )
  }

  async function* counted(
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent> {
    const model = named(request.model)
    const cache = { ...request.cache, write: request.cache.write && options.save }
    const atMs = Date.now()
    let plan: Plan | null = null
    let receipt: Receipt | null = null
    let failure: Error | null = null
    try {
      const limited = {
        ...request,
        cache,
        maxTokens: fewer(request.maxTokens, options.maxAnswerTokens),
      }
      const run = (ended: AbortSignal) => model.generate(limited, ended)
      for await (const event of withinDeadlines(run, signal, deadlines)) {
        if (event.type === 'planned') plan = event.plan
        if (event.type !== 'receipt') {
          yield event
          continue
        }
        const { receipt: end } = event
        receipt = cache.pin === true ? await pinSaved(admin.pin, cache, end) : end
        yield { ...event, receipt }
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
      throw error
    } finally {
      const ended = { model: model.id, atMs, plan, receipt, failure }
      catalog.requests.note(requestRecord(request, ended))
      // A client that goes away ends the generator at a yield: no receipt, and nothing was thrown.
      if (receipt === null) failure ??= new Error('the client went away')
      else sessions.note(request, receipt)
      const savedPrefillMs = model.ended(receipt)
      const missed = plan && receipt && missedBlocks(plan, receipt)
      if (missed) catalog.ghosts.missed({ ...missed, needsBoundary: model.needsBoundary() })
      catalog.totals.add(model.id, requestTotals(receipt, savedPrefillMs))
      options.onDone(request, receipt, failure)
    }
  }

  const names = namesOf(cache)
  const { modelOf, kindsOf } = names
  const now = () => Date.now()
  const servedAs = (name: string) => models.find((model) => model.answersTo(name))?.id ?? null

  const admin = createAdmin({
    cache,
    catalog,
    ...names,
    servedBy: (name) => models.find(({ id }) => id === name)?.card().info?.fingerprint ?? null,
    sessionsAt: (prefix) => sessions.at(prefix),
    endsOf: (session) => sessions.endsOf(session),
    servedAs,
    pinStore: catalog.pins,
    warn,
    now,
    stats: () => ({
      version: options.version,
      upMs: performance.now(),
      blockTokens: cache.blockTokens,
      reuse,
      directory: options.directory,
      ...tally.counted(),
      sessions: sessions.count,
      models: models.map((model) => model.stats()),
    }),
  })

  const onEnded = catalog.requests.endSession
  return {
    generate: counted,
    models: () => models.map((model) => model.card()),
    workers: () => models.map((model) => model.report()),
    render: async (name, input) => {
      const { engine } = named(name)
      return render(engine, await engine.ready(), input)
    },
    tokenize: async (name, text, how) => named(name).engine.tokenize(text, how),
    detokenize: async (name, tokens) => {
      const { engine } = named(name)
      checkVocabulary(tokens, await engine.ready(), 'tokens')
      return engine.detokenize(tokens)
    },
    pieces: async (name, tokens) => named(name).engine.pieces(tokens),
    embed: async (name, prompt, field) => embed(named(name).engine, prompt, field),
    history: catalog.requests,
    followCache: watchCache({ cache, catalog, modelOf }).follow,
    transfer: createTransfer({ ...options, models }),
    budgets: createBudgets({ ...names, cache, shares: options.shares ?? [], servedAs, warn }),
    sessions: createSessionVerbs({ cache, sessions, kindsOf, now, onEnded }),
    cache: admin,
  }
}
