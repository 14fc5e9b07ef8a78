/**
 * Keeps one worker alive: starts it, hands out its sequences, restarts it with back-off when it dies,
 * gives up when it dies too often, and drains it at the end.
 */
import { EngineError } from './errors.ts'
import type { EngineLimits } from './limits.ts'
import { identityOf } from './model-info.ts'
import type { WorkerCommand } from './process.ts'
import { createSequence } from './sequence.ts'
import type {
  ArenaView,
  Engine,
  EngineState,
  ModelInfo,
  Sequence,
  SharedArena,
  WorkerOptions,
} from './types.ts'
import { createWaitQueue, queueFull } from './wait-queue.ts'
import { startWorkerLife, type WorkerEnd, type WorkerLife } from './worker-life.ts'

export interface EngineOptions {
  readonly worker: WorkerOptions
  /** Null where memory cannot be shared: the frames then carry the records. */
  readonly arena: SharedArena | null
  readonly view: ArenaView
  readonly limits: EngineLimits
  /** Added to the service's own environment. */
  readonly env?: Readonly<Record<string, string>>
  /** A line of the worker's output, or about the worker. */
  readonly log: (line: string) => void
}

/** A worker that is ready, and which of its sequences are free. */
interface LiveWorker {
  readonly life: WorkerLife
  readonly info: ModelInfo
  readonly free: number[]
}

export function createEngine(command: WorkerCommand, options: EngineOptions): Engine {
  const { limits, log } = options
  const forSequence = createWaitQueue<LiveWorker & { sequence: number }>(
    limits.queuedRequests,
    'a sequence of this worker',
  )
  const forWorker = createWaitQueue<LiveWorker>(limits.queuedRequests, 'this worker')
  const wakeDrain = createSignal()
  const wakeBackoff = createSignal()
  let state: EngineState = 'starting'
  let life: WorkerLife | null = null
  let live: LiveWorker | null = null
  let identity: string | null = null
  let failure: EngineError | null = null
  let closing: Promise<void> | null = null
  let restarts = 0
  let lastError: string | null = null
  let startedAtMs = Date.now()
  const deathsAtMs: number[] = []

  const stopping = (): EngineError =>
    new EngineError('PREFIXD_E_ENGINE_STOPPING', 'The service is shutting down; try again later.')

  const busySequences = (): number => (live === null ? 0 : live.info.sequences - live.free.length)

  const serveQueues = (): void => {
    const worker = live
    if (worker === null) return
    forWorker.serve(() => worker)
    forSequence.serve(() => {
      const sequence = worker.free.shift()
      return sequence === undefined ? null : { ...worker, sequence }
    })
    wakeDrain.fire()
  }

  const refuseAll = (error: EngineError): void => {
    failure = error
    forWorker.rejectAll(error)
    forSequence.rejectAll(error)
  }

  /** One process, from its start to its end. */
  const liveOnce = async (): Promise<WorkerEnd> => {
    startedAtMs = Date.now()
    const worker = startWorkerLife({
      command: { ...command, env: { ...command.env, ...options.env } },
      worker: options.worker,
      arena: options.arena,
      limits,
      log,
      onCallsChange: wakeDrain.fire,
    })
    life = worker
    if (closing !== null) worker.kill(stopping(), true)
    const info = await worker.ready
    if (info !== null) {
      identity ??= identityOf(info)
      if (identity === identityOf(info)) {
        live = { life: worker, info, free: Array.from({ length: info.sequences }, (_, at) => at) }
        state = 'ready'
        serveQueues()
      } else worker.kill(modelChanged(), true)
    }
    const end = await worker.ended
    live = null
    life = null
    wakeDrain.fire()
    return end
  }

  /** Waits before the next start. Answers the error that ends all starts, or null. */
  const backOff = async (end: WorkerEnd): Promise<EngineError | null> => {
    lastError = end.error.message
    if (closing !== null) return stopping()
    log(end.error.message)
    if (end.final) return end.error
    const nowMs = performance.now()
    deathsAtMs.push(nowMs)
    while ((deathsAtMs[0] ?? nowMs) < nowMs - limits.workerRestartWindowMs) deathsAtMs.shift()
    if (deathsAtMs.length > limits.workerRestartsPerWindow) {
      return restartBudgetSpent(deathsAtMs.length, limits, end.error)
    }
    state = 'restarting'
    restarts += 1
    const delayMs = limits.workerBackoffMinMs * 2 ** (deathsAtMs.length - 1)
    await wakeBackoff.wait(Math.min(delayMs, limits.workerBackoffMaxMs))
    return closing === null ? null : stopping()
  }

  const keepAlive = async (): Promise<void> => {
    for (;;) {
      const end = await liveOnce().catch((error: unknown) => ({
        error: asFailed(error),
        final: true,
      }))
      const enough = await backOff(end)
      if (enough === null) continue
      state = closing === null ? 'failed' : 'stopped'
      refuseAll(enough)
      return
    }
  }
  const over = keepAlive()

  const worker = async (signal?: AbortSignal): Promise<LiveWorker> => {
    if (failure !== null) throw failure
    if (closing !== null) throw stopping()
    return live ?? forWorker.wait(signal)
  }

  /** The ready worker, when it does not owe too many answers yet. */
  const workerForCall = async (): Promise<WorkerLife> => {
    const { life, info } = await worker()
    if (life.calls.openCount >= limits.queuedRequests + info.sequences) {
      throw queueFull(limits.queuedRequests, 'this worker')
    }
    return life
  }

  const openOn = async (granted: LiveWorker & { sequence: number }): Promise<Sequence> => {
    const { life, sequence, free } = granted
    const release = (): void => {
      free.push(sequence)
      serveQueues()
    }
    try {
      await life.calls.ask({ type: 'open', sequence }, 'ok')
    } catch (error) {
      release()
      throw error
    }
    return createSequence({
      calls: life.calls,
      sequence,
      carried: options.arena === null ? options.view : null,
      log,
      release,
      async giveUp(error) {
        life.kill(
          new EngineError('PREFIXD_E_ENGINE_DIED', `Sequence not cleared: ${String(error)}`),
        )
        await life.ended
      },
    })
  }

  const drain = async (drainMs: number): Promise<void> => {
    refuseAll(stopping())
    wakeBackoff.fire()
    const deadlineMs = performance.now() + drainMs
    while (live !== null && (busySequences() > 0 || live.life.calls.openCount > 0)) {
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) break
      await wakeDrain.wait(leftMs)
    }
    const idle = live !== null && live.life.calls.openCount === 0
    if (idle) life?.shutDown(stopping())
    else life?.kill(stopping(), true)
    await over
    state = 'stopped'
  }

  return {
    ready: async () => (await worker()).info,
    status: () => ({
      state,
      pid: life?.pid ?? null,
      restarts,
      startedAtMs,
      lastError,
      busySequences: busySequences(),
      queuedRequests: forSequence.size,
    }),
    async render(input) {
      const { calls } = await workerForCall()
      return (await calls.ask({ type: 'render', input }, 'text')).text
    },
    async tokenize(text, { addSpecial, parseSpecial }) {
      const { calls } = await workerForCall()
      const request = { type: 'tokenize', text, addSpecial, parseSpecial } as const
      return (await calls.ask(request, 'tokens')).tokens
    },
    async detokenize(tokens) {
      const { calls } = await workerForCall()
      return (await calls.ask({ type: 'detokenize', tokens }, 'text')).text
    },
    async pieces(tokens) {
      const { calls } = await workerForCall()
      return (await calls.ask({ type: 'pieces', tokens }, 'pieces')).pieces
    },
    async openSequence(signal) {
      if (failure !== null) throw failure
      const granted = forSequence.wait(signal)
      serveQueues()
      return openOn(await granted)
    },
    close(drainMs) {
      closing ??= drain(drainMs)
      return closing
    },
  }
}

/** Something that one loop waits for, at most so long. */
function createSignal() {
  let wake: (() => void) | null = null
  return {
    fire: (): void => wake?.(),
    wait: (limitMs: number): Promise<void> =>
      new Promise((resolve) => {
        const timer = setTimeout(() => wake?.(), limitMs)
        wake = () => {
          wake = null
          clearTimeout(timer)
          resolve()
        }
      }),
  }
}

function asFailed(error: unknown): EngineError {
  if (error instanceof EngineError) return error
  return new EngineError('PREFIXD_E_ENGINE_FAILED', `The worker cannot be started: ${error}`)
}

function modelChanged(): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_FAILED',
    'The worker came back with another model, build or layout than before. ' +
      'Restart the service, so that nothing stored meets the wrong model.',
  )
}

function restartBudgetSpent(deaths: number, limits: EngineLimits, last: EngineError): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_FAILED',
    `The worker ended ${deaths} times within ${limits.workerRestartWindowMs} ms and is not started ` +
      `again. Look at its last words, then restart the service. ${last.message}`,
    { cause: last },
  )
}
