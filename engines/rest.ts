/** A worker that rests: there is none, until the pause is over and somebody asks for it. */
import { EngineError } from './errors.ts'

export interface Rest {
  readonly isOn: boolean
  /** The pause is over: whoever asks now is to have the worker started. */
  readonly isOverdue: boolean
  /** Resolves when it ends. */
  begin(why: string, pauseMs: number): Promise<void>
  end(): void
  /** Why there is no worker, and when it is worth asking again. */
  reason(): EngineError
}

export function createRest(): Rest {
  let wake: (() => void) | null = null
  let why = ''
  let untilMs = 0
  const leftMs = (): number => Math.max(0, untilMs - performance.now())
  return {
    get isOn() {
      return wake !== null
    },
    get isOverdue() {
      return leftMs() === 0
    },
    begin(reason, pauseMs) {
      why = reason
      untilMs = performance.now() + pauseMs
      return new Promise((resolve) => {
        wake = resolve
      })
    },
    end() {
      wake?.()
      wake = null
    },
    reason() {
      const seconds = Math.ceil(leftMs() / 1000)
      const soonest = seconds > 1 ? `, after ${seconds} s at the earliest` : ''
      return new EngineError(
        'PREFIXD_E_ENGINE_FAILED',
        `${why} The worker is not running; a request starts it again when this is mended` +
          `${soonest}.`,
        { retryAfterSeconds: Math.max(1, seconds) },
      )
    },
  }
}
