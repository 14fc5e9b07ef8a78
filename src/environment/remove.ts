/** Takes the environment away, and what an interrupted installation left. */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { enginesDir, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { takePullLock } from '../models/pull-lock.ts'
import { mlxPlaces, partialsLeft } from './environment.ts'
import { bytesBelow } from './folder-size.ts'
import { installError } from './install-failure.ts'

export interface RemovedEngine {
  readonly path: string
  readonly freedBytes: number
}

/**
 * Throws PREFIXD_E_ENGINE_MISSING when there is nothing. A service that has it loaded goes on with
 * what it has in memory, and cannot start a new worker.
 */
export async function removeMlx(around: Surroundings, signal: AbortSignal): Promise<RemovedEngine> {
  const { dir, old, lock } = mlxPlaces(around)
  const partials = await partialsLeft(around)
  const present = [dir, old, ...partials].filter((path) => existsSync(path))
  if (present.length === 0) {
    throw new PrefixdError(
      'PREFIXD_E_ENGINE_MISSING',
      `The MLX engine is not installed (there is no ${dir}).`,
      { field: 'engine', next: 'See what is installed: prefixd engines ls' },
    )
  }
  try {
    const held = await takePullLock(lock, signal, () => {})
    try {
      let freedBytes = 0
      for (const path of present) {
        freedBytes += await bytesBelow(path)
        await rm(path, { recursive: true, force: true, maxRetries: 3 })
      }
      return { path: dir, freedBytes }
    } finally {
      await held.release()
    }
  } catch (error) {
    signal.throwIfAborted()
    const { code } = error as NodeJS.ErrnoException
    throw installError(
      `${enginesDir(around)} cannot be changed (${code ?? error}).`,
      'Correct its permissions, or remove it yourself.',
      error,
    )
  }
}
