/** A worker that rests: there is none, until the pause is over and somebody asks for it. */
import { EngineError } from './errors.ts'

export interface Rest {
  readonly isOn: boolean
  /** The pause is over: whoever asks now is to have the worker started. */
  readonly isOverdue: boolean
  /** Resolves when it ends. `retry` false: time alone does not mend what is wrong. */
  begin(why: string, pause: { readonly ms: number; readonly retry: boolean }): Promise<void>
  end(): void
  /** Why there is no worker, and when it is worth asking again. */
  reason(): EngineError
}

export function createRest(): Rest {
  let wake: (() => void) | null = null
  let why = ''
  let untilMs = 0
  let retry = true
  const leftMs = (): number => Math.max(0, untilMs - performance.now())
  return {
    get isOn() {
      return wake !== null
    },
    get isOverdue() {
      return leftMs() === 0
    },
    begin(reason, pause) {
      why = reason
      retry = pause.retry
      untilMs = performance.now() + pause.ms
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
        { retry, retryAfterSeconds: retry ? Math.max(1, seconds) : null },
      )
    },
  }
}
