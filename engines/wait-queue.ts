/** A bounded queue of requests that wait for something: first come, first served. */
import { EngineError } from './errors.ts'

export interface WaitQueue<T> {
  readonly size: number
  /** Rejects with PREFIXD_E_ENGINE_QUEUE_FULL, or with the signal's reason. */
  wait(signal?: AbortSignal): Promise<T>
  /** Hands things out in order, for as long as `next` has one and somebody waits. */
  serve(next: () => T | null): void
  rejectAll(error: EngineError): void
}

interface Waiter<T> {
  resolve(value: T): void
  reject(reason: unknown): void
}

export function createWaitQueue<T>(limit: number, waitsFor: string): WaitQueue<T> {
  const waiters = new Set<Waiter<T>>()

  return {
    get size() {
      return waiters.size
    },
    wait: (signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        if (waiters.size >= limit) return reject(queueFull(limit, waitsFor))
        const leave = (): void => {
          waiters.delete(waiter)
          signal?.removeEventListener('abort', onAbort)
        }
        const onAbort = (): void => {
          leave()
          reject(signal?.reason)
        }
        const waiter: Waiter<T> = {
          resolve(value) {
            leave()
            resolve(value)
          },
          reject(reason) {
            leave()
            reject(reason)
          },
        }
        waiters.add(waiter)
        signal?.addEventListener('abort', onAbort)
      }),
    serve(next) {
      for (const waiter of [...waiters]) {
        const value = next()
        if (value === null) return
        waiter.resolve(value)
      }
    },
    rejectAll(error) {
      for (const waiter of [...waiters]) waiter.reject(error)
    },
  }
}

export function queueFull(limit: number, waitsFor: string): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_QUEUE_FULL',
    `${limit} requests wait for ${waitsFor} already. Try again in a moment, or send fewer at once.`,
  )
}
