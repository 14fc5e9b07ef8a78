/**
 * A request is rendered and tokenised by the worker's own template. Its tokens are cut into blocks,
 * and each block gets a chain hash inside a namespace. The plan finds the longest restorable
 * prefix, decides whether restoring beats prefilling, and takes a lease on it. The worker restores
 * the records into a sequence, computes the rest and decodes; the new prefix is saved, and the
 * cache evicts to stay inside its limits.
 */
import { performance } from 'node:perf_hooks'
import type { Cache, Namespace, Plan, PrefixLease, TokenIds } from '../../cache/index.ts'
import type { Engine, ModelInfo } from '../../engines/index.ts'
import { admit } from './admission.ts'
import { openReader } from './answer-reader.ts'
import { decodeChoices } from './choices.ts'
import { holdPrefix } from './hold.ts'
import type { Prefetch } from './prefetch.ts'
import type { RateMeter } from './rates.ts'
import type { UntimedReceipt } from './receipt.ts'
import type { Restored } from './restore.ts'
import { saveThrough, settle } from './save.ts'
import { standAgain } from './stand-again.ts'
import { tokenize } from './tokenize.ts'
import type { GenerateEvent, GenerateRequest } from './types.ts'

export interface GenerateContext {
  readonly engine: Engine
  readonly cache: Cache
  readonly reuse: 'token' | 'block'
  /** Everything that must match before KV bytes may be reused; known once the worker is ready. */
  readonly namespaceOf: (info: ModelInfo, request: GenerateRequest) => Namespace
  readonly rates: RateMeter
  /** Reads ahead for requests that wait for a sequence. */
  readonly prefetch: Prefetch
  /** The engine has confirmed all of this request. */
  readonly onAnswered: (info: ModelInfo, asked: Asked, receipt: UntimedReceipt) => void
  /** Before the lease is given back. */
  readonly onEnd: (request: GenerateRequest, lease: PrefixLease) => void
  /** A restore that did not work: counted and logged, never the client's error. */
  readonly onRestored: (restored: Restored, plan: Plan) => void
}

interface Asked {
  readonly namespace: Namespace
  readonly tokens: TokenIds
}

const now = () => performance.now()

export async function* generate(
  request: GenerateRequest,
  context: GenerateContext,
  signal: AbortSignal,
): AsyncGenerator<GenerateEvent> {
  const { engine, cache, rates } = context
  const arrivedAt = now()
  // Waits while the worker loads its model, at the start or after a death.
  const info = await engine.ready()
  const loadedAt = now()
  const { tokens, marks, promptEnd, maxTokens, grammar } = await tokenize(engine, info, request)
  const tokenizedAt = now()
  // Planning waits for the sequence: the requests before this one may save what it can use.
  const asked = { namespace: context.namespaceOf(info, request), tokens }
  const takeLease = () =>
    cache.lease({
      ...asked,
      layout: info.layout,
      rates: rates.rates(),
      read: request.cache.read,
      marks,
      spill: request.cache.spill,
    })
  const sequence = await admit(engine, context.prefetch, takeLease, signal)
  const admittedAt = now()
  const held = holdPrefix(takeLease)
  try {
    const [load, queue] = [loadedAt - arrivedAt, admittedAt - tokenizedAt]
    const ms = { load, tokenize: tokenizedAt - loadedAt, queue, plan: now() - admittedAt }
    yield { type: 'planned', plan: held.lease.plan, ms }

    const restored = await held.restoreInto(sequence, context.onRestored)
    const { lease } = held
    yield { type: 'restored', restoredTokens: restored.tokenCount }
    const input = {
      tokens,
      computeFrom: restored.tokenCount,
      restoredOnGrid: lease.isOnGrid(restored.tokenCount),
      boundaries: lease.plan.boundaries,
      maxTokens,
      sampling: request.sampling,
      grammar,
      logitBias: request.logitBias ?? [],
      save: request.cache.write && info.layout.kinds.length > 0,
      topLogprobs: request.topLogprobs ?? null,
      ignoreEnd: request.ignoreEnd,
    }
    const { blockTokens } = cache
    const choices = {
      sequence,
      input,
      sink: saveThrough(lease),
      count: request.choices ?? 1,
      standAgain: () => standAgain(sequence, held, { ...context, input, info, blockTokens }),
      openReader: () => openReader(request, promptEnd, info),
      signal,
    }
    const answer = yield* decodeChoices(choices, now)

    await sequence.close()
    rates.prefilled(answer.done.computedTokens, answer.done.prefillMs)
    const { hygiene, cache: directive } = request
    const receipt = await settle(lease, { restored, answer, directive, blockTokens })
    if (directive.ttlMs !== null) lease.keepFor(directive.ttlMs)
    context.onAnswered(info, asked, receipt)
    context.onEnd(request, lease)
    const ttft = answer.firstTokenAt === null ? null : answer.firstTokenAt - arrivedAt
    yield { type: 'receipt', receipt: { ...receipt, hygiene, ms: { ...receipt.ms, ...ms, ttft } } }
  } finally {
    // The client may have gone away at any yield: end the work, then give the bytes back.
    await sequence.close()
    held.release()
  }
}
