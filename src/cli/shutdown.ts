/** How this process ends: once gracefully, the second time at once. */
import closeWithGrace from 'close-with-grace'
import { limits } from '../config/limits.ts'
import type { Shutdown } from './context.ts'
import { exitCodes } from './failure.ts'

/**
 * Calls `close` once, at SIGINT, SIGTERM, SIGHUP or an uncaught error, and ends the process when it
 * has resolved, with 0, or 1 after an error or when it takes longer than `limits.shutdownMs`. A
 * second signal ends the process without waiting. Returns the function that takes all of it back.
 */
export function onShutdown(close: (shutdown: Shutdown) => Promise<void>): () => void {
  const { uninstall } = closeWithGrace(
    {
      delay: limits.shutdownMs,
      logger: false,
      // An idle event loop is no reason to close a server that is just starting.
      skip: ['beforeExit'],
      onTimeout: (delayMs) => {
        process.stderr.write(`error  stopping took longer than ${delayMs / 1000} s; ended anyway\n`)
      },
      onSecondSignal: () => process.exit(exitCodes.interrupted),
    },
    async ({ err, signal }) => close({ error: err ?? null, signal: signal ?? null }),
  )
  return uninstall
}
