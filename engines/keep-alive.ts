/**
 * Starts a worker again whenever it dies, until it is stopped. One that cannot load again, or dies
 * too often, rests until somebody asks for it; one that never loaded is given up.
 */
import { EngineError } from './errors.ts'
import type { EngineLimits } from './limits.ts'
import { identityOf } from './model-info.ts'
import { createRest } from './rest.ts'
import { createRestartBudget } from './restart-budget.ts'
import type { EngineState, ModelInfo } from './types.ts'
import { createWakeUp } from './wake-up.ts'
import type { WorkerEnd, WorkerLife } from './worker-life.ts'

/** A worker that is ready. */
export interface LiveWorker {
  readonly life: WorkerLife
  readonly info: ModelInfo
}

export interface KeepAliveOptions {
  start(onEnded: () => void): WorkerLife
  onReady(worker: LiveWorker): void
  /** The process has ended; its open calls are rejected right after this. */
  onEnded(): void
  /** There is no worker until somebody asks for one; those who wait for it need not any more. */
  onResting(reason: EngineError): void
  /**
   * What a start needs and is not there any more, with what brings it back, as sentences; null: all
   * is there.
   */
  missing(): Promise<string | null>
  readonly limits: EngineLimits
  readonly log: (line: string) => void
}

export interface KeepAlive {
  readonly state: EngineState
  readonly life: WorkerLife | null
  readonly restarts: number
  readonly startedAtMs: number
  readonly lastError: string | null
  /** Somebody needs the worker. Throws the reason where it rests and is not to be started yet. */
  demand(): void
  /** Resolves with the reason when there will be no worker any more. */
  readonly over: Promise<EngineError>
  /** No more starts; the running process is the caller's to end. */
  stop(reason: EngineError): void
}

export function keepAlive(options: KeepAliveOptions): KeepAlive {
  const wakeUp = createWakeUp()
  const budget = createRestartBudget(options.limits)
  const rest = createRest()
  let state: EngineState = 'starting'
  let life: WorkerLife | null = null
  let identity: string | null = null
  let stopReason: EngineError | null = null
  let restarts = 0
  let startedAtMs = Date.now()
  let lastError: string | null = null

  // Whoever hears of a death and tries again must not meet the dead worker.
  const onEnded = (): void => {
    life = null
    if (state === 'ready') state = 'restarting'
    options.onEnded()
  }

  const liveOnce = async (): Promise<WorkerEnd> => {
    // Whoever starts the service has just looked.
    const missing = restarts === 0 ? null : await options.missing()
    if (missing !== null) return notThere(missing)
    startedAtMs = Date.now()
    const started = options.start(onEnded)
    life = started
    // A stop may have come after the last look, and before there was a process to end.
    if (stopReason !== null) started.kill(stopReason, 'never')
    const info = await started.ready
    if (info !== null) {
      identity ??= identityOf(info)
      if (identity === identityOf(info)) {
        state = 'ready'
        options.onReady({ life: started, info })
      } else started.kill(modelChanged(), 'never')
    }
    return started.ended
  }

  /** Waits before the next start. Answers the error that ends all starts, or null. */
  const backOff = async (end: WorkerEnd): Promise<EngineError | null> => {
    if (stopReason !== null) return stopReason
    lastError = end.error.message
    options.log(end.error.message)
    if (end.next === 'never') return end.error
    const { delayMs, why, isOver } = next(end)
    if (isOver) {
      // A model that was never loaded is a mistake in what the service was started with.
      if (identity === null) return end.next === 'soon' ? tooOften(why, end.error) : end.error
      state = 'failed'
      const awake = rest.begin(why, { ms: delayMs, retry: end.next === 'soon' })
      options.onResting(rest.reason())
      await awake
    } else {
      state = 'restarting'
      restarts += 1
      await wakeUp.wait(delayMs)
    }
    return stopReason
  }

  /** To look for what was missing costs no start, and none of the budget. */
  const next = (end: WorkerEnd): { delayMs: number; why: string; isOver: boolean } => {
    const { limits } = options
    if (end.next === 'repaired') {
      return { delayMs: limits.workerBackoffMinMs, why: end.why, isOver: true }
    }
    const { delayMs, isSpent } = budget.afterDeath(performance.now())
    if (end.next === 'soon') {
      const often = `${budget.deaths} times within ${limits.workerRestartWindowMs} ms`
      return { delayMs, why: `The worker ended ${often}. ${end.why}`, isOver: isSpent }
    }
    return { delayMs, why: `The model could not be loaded again. ${end.why}`, isOver: true }
  }

  const untilOver = async (): Promise<EngineError> => {
    for (;;) {
      const end = await liveOnce().catch(cannotStart)
      const reason = await backOff(end)
      if (reason === null) continue
      state = stopReason === null ? 'failed' : 'stopped'
      return reason
    }
  }

  return {
    get state() {
      return state
    },
    get life() {
      return life
    },
    get restarts() {
      return restarts
    },
    get startedAtMs() {
      return startedAtMs
    },
    get lastError() {
      return lastError
    },
    demand() {
      if (!rest.isOn) return
      if (!rest.isOverdue) throw rest.reason()
      state = 'restarting'
      restarts += 1
      rest.end()
    },
    over: untilOver(),
    stop(reason) {
      stopReason ??= reason
      if (state === 'failed') state = 'stopped'
      wakeUp.fire()
      rest.end()
    },
  }
}

function cannotStart(error: unknown): WorkerEnd {
  if (error instanceof EngineError) return { error, next: 'asked', why: error.message }
  const why = `The worker cannot be started: ${String(error)}`
  const failed = new EngineError('PREFIXD_E_ENGINE_FAILED', why, { cause: error })
  return { error: failed, next: 'asked', why }
}

function notThere(missing: string): WorkerEnd {
  const error = new EngineError('PREFIXD_E_ENGINE_FAILED', missing)
  return { error, next: 'repaired', why: missing }
}

function modelChanged(): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_FAILED',
    'The worker came back with another model, build or layout than before. ' +
      'Restart the service, so that nothing stored meets the wrong model.',
    { retry: false },
  )
}

function tooOften(why: string, last: EngineError): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_FAILED',
    `${why} It is not started again: look at its last words. ${last.message}`,
    { cause: last },
  )
}
