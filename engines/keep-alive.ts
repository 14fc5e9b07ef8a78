/** Starts a worker again whenever it dies, until it is stopped, cannot load, or dies too often. */
import { EngineError } from './errors.ts'
import type { EngineLimits } from './limits.ts'
import { identityOf } from './model-info.ts'
import { createRestartBudget, type RestartBudget } from './restart-budget.ts'
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
  readonly limits: EngineLimits
  readonly log: (line: string) => void
}

export interface KeepAlive {
  readonly state: EngineState
  readonly life: WorkerLife | null
  readonly restarts: number
  readonly startedAtMs: number
  readonly lastError: string | null
  /** Resolves with the reason when there will be no worker any more. */
  readonly over: Promise<EngineError>
  /** No more starts; the running process is the caller's to end. */
  stop(reason: EngineError): void
}

export function keepAlive(options: KeepAliveOptions): KeepAlive {
  const wakeUp = createWakeUp()
  const budget = createRestartBudget(options.limits)
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
    startedAtMs = Date.now()
    const started = options.start(onEnded)
    life = started
    // A stop may have come after the last look, and before there was a process to end.
    if (stopReason !== null) started.kill(stopReason, true)
    const info = await started.ready
    if (info !== null) {
      identity ??= identityOf(info)
      if (identity === identityOf(info)) {
        state = 'ready'
        options.onReady({ life: started, info })
      } else started.kill(modelChanged(), true)
    }
    return started.ended
  }

  /** Waits before the next start. Answers the error that ends all starts, or null. */
  const backOff = async (end: WorkerEnd): Promise<EngineError | null> => {
    if (stopReason !== null) return stopReason
    lastError = end.error.message
    options.log(end.error.message)
    if (end.final) return end.error
    const delayMs = budget.delayAfterDeath(performance.now())
    if (delayMs === null) return budgetSpent(budget, options.limits, end.error)
    state = 'restarting'
    restarts += 1
    await wakeUp.wait(delayMs)
    return stopReason
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
    over: untilOver(),
    stop(reason) {
      stopReason ??= reason
      if (state === 'failed') state = 'stopped'
      wakeUp.fire()
    },
  }
}

function cannotStart(error: unknown): WorkerEnd {
  if (error instanceof EngineError) return { error, final: true }
  const what = `The worker cannot be started: ${String(error)}`
  return { error: new EngineError('PREFIXD_E_ENGINE_FAILED', what, { cause: error }), final: true }
}

function modelChanged(): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_FAILED',
    'The worker came back with another model, build or layout than before. ' +
      'Restart the service, so that nothing stored meets the wrong model.',
  )
}

function budgetSpent(budget: RestartBudget, limits: EngineLimits, last: EngineError): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_FAILED',
    `The worker ended ${budget.deaths} times within ${limits.workerRestartWindowMs} ms and is ` +
      `not started again. Look at its last words, then restart the service. ${last.message}`,
    { cause: last },
  )
}
