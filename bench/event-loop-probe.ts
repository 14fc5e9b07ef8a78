/**
 * Loaded into the service by NODE_OPTIONS, and only there awake: measures the delay of its event
 * loop. The first SIGURG, which nobody else uses, starts; the next one writes `{ "p99Ms", "maxMs"
 * }` into the file and starts anew.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const resolutionMs = 1
const file = process.env.BENCH_EVENT_LOOP_FILE

// The worker inherits the environment; its loop may wait for the engine.
if (file !== undefined && process.argv[1]?.endsWith('prefixd.mjs')) measureInto(file)

function measureInto(path: string): void {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  let isRunning = false
  process.on('SIGURG', () => {
    if (isRunning) {
      // A turn on time is counted with the timer's own period.
      const delayMs = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs)
      const { max } = histogram
      const text = JSON.stringify({
        p99Ms: delayMs(histogram.percentile(99)),
        maxMs: delayMs(max),
      })
      writeFileSync(`${path}.new`, text)
      renameSync(`${path}.new`, path)
    } else histogram.enable()
    isRunning = true
    histogram.reset()
  })
}
