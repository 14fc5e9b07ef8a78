/**
 * One supervised worker as the service sees it: calls wait for it while it starts, requests queue
 * for its sequences, and it is drained at the end.
 */
import { EngineError } from './errors.ts'
import { keepAlive, type LiveWorker } from './keep-alive.ts'
import type { EngineLimits } from './limits.ts'
import type { WorkerCommand } from './process.ts'
import { createSequencePool } from './sequence-pool.ts'
import type { ArenaView, Engine, SharedArena, WorkerOptions } from './types.ts'
import { createWaitQueue, queueFull } from './wait-queue.ts'
import { createWakeUp } from './wake-up.ts'
import { startWorkerLife, type WorkerLife, type WorkerLifeOptions } from './worker-life.ts'

export interface EngineOptions {
  readonly worker: WorkerOptions
  /** Null where memory cannot be shared: the frames then carry the records. */
  readonly arena: SharedArena | null
  readonly view: ArenaView
  readonly limits: EngineLimits
  /** Added to the service's own environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Asked before the worker is started again: see `KeepAliveOptions`. Absent: nothing can be. */
  readonly missing?: () => Promise<string | null>
  /** A line of the worker's output, or about the worker. */
  readonly log: (line: string) => void
}

export type SupervisorOptions = Pick<EngineOptions, 'arena' | 'view' | 'limits' | 'missing' | 'log'>

/** What a life of the worker tells its supervisor. */
export type LifeEvents = Pick<WorkerLifeOptions, 'onEnded' | 'onCallsChange'>

export function createEngine(command: WorkerCommand, options: EngineOptions): Engine {
  const given = lifeOptions(command, options)
  return superviseEngine((events) => startWorkerLife({ ...given, ...events }), options)
}

/** `start` begins one life after the other; a simulation has lives without processes. */
export function superviseEngine(
  start: (events: LifeEvents) => WorkerLife,
  options: SupervisorOptions,
): Engine {
  const worker = superviseWorker(start, options)
  const { pool } = worker
  return {
    ready: async () => (await worker.live()).info,
    status: worker.status,
    async render(input) {
      const { calls } = await worker.forCall()
      return (await calls.ask({ type: 'render', input }, 'text')).text
    },
    async tokenize(text, { addSpecial, parseSpecial }) {
      const { calls } = await worker.forCall()
      const request = { type: 'tokenize', text, addSpecial, parseSpecial } as const
      return (await calls.ask(request, 'tokens')).tokens
    },
    async detokenize(tokens) {
      const { calls } = await worker.forCall()
      return (await calls.ask({ type: 'detokenize', tokens }, 'text')).text
    },
    async pieces(tokens) {
      const { calls } = await worker.forCall()
      return (await calls.ask({ type: 'pieces', tokens }, 'pieces')).pieces
    },
    async embed(tokens) {
      const { calls } = await worker.forCall()
      return (await calls.ask({ type: 'embed', tokens }, 'embedding')).vector
    },
    async openSequence(signal) {
      worker.assertServing()
      return pool.open(signal)
    },
    close: worker.close,
  }
}

/** The worker through all its processes, and everybody who waits for it. */
function superviseWorker(start: (events: LifeEvents) => WorkerLife, options: SupervisorOptions) {
  const { limits, log } = options
  const wakeDrain = createWakeUp()
  const forWorker = createWaitQueue<LiveWorker>(limits.queuedRequests, 'this worker')
  const pool = createSequencePool({
    queuedRequests: limits.queuedRequests,
    carried: options.arena === null ? options.view : null,
    log,
    onRelease: wakeDrain.fire,
  })
  let live: LiveWorker | null = null
  let refusal: EngineError | null = null
  let closing: Promise<void> | null = null

  const refuse = (error: EngineError): void => {
    refusal ??= error
    forWorker.rejectAll(error)
    pool.rejectAll(error)
  }
  /** Starts a worker that rests, where it is time. */
  const assertServing = (): void => {
    if (refusal !== null) throw refusal
    kept.demand()
  }

  const kept = keepAlive({
    limits,
    log,
    start: (onEnded) => start({ onEnded, onCallsChange: wakeDrain.fire }),
    onReady(ready) {
      live = ready
      forWorker.serve(() => ready)
      pool.attach(ready)
    },
    onEnded() {
      live = null
      pool.detach()
      wakeDrain.fire()
    },
    onResting(reason) {
      forWorker.rejectAll(reason)
      pool.rejectAll(reason)
    },
    missing: options.missing ?? (async () => null),
  })
  void kept.over.then(refuse)

  const isBusy = (): boolean => live !== null && (pool.busy > 0 || live.life.calls.openCount > 0)

  const drain = async (drainMs: number): Promise<void> => {
    const reason = stopping()
    refuse(reason)
    kept.stop(reason)
    const deadlineMs = performance.now() + drainMs
    while (isBusy() && performance.now() < deadlineMs) {
      await wakeDrain.wait(deadlineMs - performance.now())
    }
    if (live !== null && live.life.calls.openCount === 0) live.life.shutDown(reason)
    else kept.life?.kill(reason, 'never')
    await kept.over
  }

  return {
    pool,
    assertServing,
    async live(): Promise<LiveWorker> {
      assertServing()
      return live ?? forWorker.wait()
    },
    /** The ready worker, when it does not owe too many answers yet. */
    async forCall(): Promise<WorkerLife> {
      const { life, info } = await this.live()
      const openMax = limits.queuedRequests + info.sequences
      if (life.calls.openCount >= openMax) throw queueFull(openMax, 'answers of this worker')
      return life
    },
    status: (): ReturnType<Engine['status']> => ({
      state: kept.state,
      pid: kept.life?.pid ?? null,
      restarts: kept.restarts,
      startedAtMs: kept.startedAtMs,
      lastError: kept.lastError,
      busySequences: pool.busy,
      queuedRequests: pool.waiting,
    }),
    close(drainMs: number): Promise<void> {
      closing ??= drain(drainMs)
      return closing
    },
  }
}

function lifeOptions(command: WorkerCommand, options: EngineOptions) {
  const { worker, arena, limits, log } = options
  const withEnv = { ...command, env: { ...command.env, ...options.env } }
  return { command: withEnv, worker, arena, limits, log }
}

function stopping(): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_STOPPING',
    'The service is shutting down; send the request again in a moment.',
  )
}
