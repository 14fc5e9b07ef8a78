/** How this process ends: once gracefully, the second time at once. */
import { Worker } from 'node:worker_threads'
import closeWithGrace from 'close-with-grace'
import { limits } from '../config/limits.ts'
import type { Shutdown } from './context.ts'
import { exitCodes } from './failure.ts'

/**
 * Calls `close` once, at SIGINT, SIGTERM, SIGHUP or an uncaught error, and ends the process when it
 * has resolved, with 0, or 1 after an error or when it takes longer than `limitMs`. A second signal
 * ends the process without waiting. Returns the function that takes all of it back.
 */
export function onShutdown(
  close: (shutdown: Shutdown) => Promise<void>,
  { limitMs = limits.shutdownMs, stuckMs = limits.shutdownStuckMs } = {},
): () => void {
  const { uninstall } = closeWithGrace(
    {
      delay: limitMs,
      logger: false,
      // An idle event loop is no reason to close a server that is just starting.
      skip: ['beforeExit'],
      onTimeout: (delayMs) => {
        process.stderr.write(`error  stopping took longer than ${delayMs / 1000} s; ended anyway\n`)
      },
      onSecondSignal: () => process.exit(exitCodes.interrupted),
    },
    async ({ err, signal }) => {
      endWhenStuck(limitMs + stuckMs)
      await close({ error: err ?? null, signal: signal ?? null })
    },
  )
  return uninstall
}

/**
 * Whoever cuts `index.mdb` under a running service can hold up LMDB for ever, and with it the event
 * loop, all its timers and signals: only another thread can then end the process.
 */
function endWhenStuck(afterMs: number): void {
  const text = 'error  stopping is stuck in native code; killed\n'
  const code = `setTimeout(() => {
    require('node:fs').writeSync(2, ${JSON.stringify(text)})
    process.kill(process.pid, 'SIGKILL')
  }, ${afterMs})`
  new Worker(code, { eval: true, execArgv: [] }).unref()
}
