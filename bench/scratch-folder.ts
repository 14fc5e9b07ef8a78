/**
 * A folder for one run, and everything that the run has started: all of it goes, also on Ctrl-C.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type EndingSignal = (typeof endingSignals)[number]

export interface Scratch {
  readonly directory: string
  /** `end` is called when the run ends, however it ends; call what this returns to take it back. */
  own(end: () => Promise<void>): () => void
}

/**
 * Runs `work` with a fresh folder under `parent`. Afterwards, and when a signal ends the process,
 * what `work` owns is ended (the latest first) and the folder is removed.
 */
export async function withScratch<T>(
  work: (scratch: Scratch) => Promise<T>,
  parent: string = tmpdir(),
): Promise<T> {
  const directory = mkdtempSync(join(parent, 'prefixd-bench-'))
  const owned: (() => Promise<void>)[] = []
  let leaving: Promise<void> | null = null

  const leaveOnce = async (): Promise<void> => {
    for (const end of owned.splice(0).reverse()) await end().catch(() => {})
    rmSync(directory, { recursive: true, force: true })
  }
  const leave = (): Promise<void> => {
    leaving ??= leaveOnce()
    return leaving
  }
  // A terminal sends Ctrl-C to the whole group and npm passes it on: the second one changes
  // nothing.
  const onSignal = (signal: EndingSignal): void => {
    void leave().then(() => process.exit(128 + constants.signals[signal]))
  }
  for (const signal of endingSignals) process.on(signal, onSignal)
  try {
    return await work({
      directory,
      own(end) {
        // A signal came while this was being started.
        if (leaving !== null) void end().catch(() => {})
        owned.push(end)
        return () => {
          const at = owned.indexOf(end)
          if (at >= 0) owned.splice(at, 1)
        }
      },
    })
  } finally {
    await leave()
    for (const signal of endingSignals) process.off(signal, onSignal)
  }
}
