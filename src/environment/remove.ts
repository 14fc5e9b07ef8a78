/** Takes the environment away, and what an interrupted installation left, unless it is in use. */
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { enginesDir, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { claimThing, type Use, useThing } from '../models/in-use.ts'
import { takePullLock } from '../models/pull-lock.ts'
import { mlxPlaces, partialsLeft } from './environment.ts'
import { bytesBelow } from './folder-size.ts'
import { installError } from './install-failure.ts'

export interface RemovedEngine {
  readonly path: string
  readonly freedBytes: number
}

export interface RemoveOptions {
  /** Also while a service uses it. */
  readonly force: boolean
}

const what = 'The MLX engine'

/** For as long as a service has it; throws PREFIXD_E_IN_USE while it is being removed. */
export const useMlx = (around: Surroundings, directory: string): Promise<Use> =>
  useThing(mlxPlaces(around).inUse, what, directory)

/** Throws what `removeMlx` would throw now, so that nobody is asked in vain. */
export async function checkMlxRemovable(
  around: Surroundings,
  { force }: RemoveOptions,
): Promise<void> {
  const { dir, inUse } = mlxPlaces(around)
  if ((await present(around)).length === 0) throw nothingThere(dir)
  const claim = await claimThing(inUse, what, force)
  claim.release()
}

/** Throws PREFIXD_E_ENGINE_MISSING when there is nothing, and PREFIXD_E_IN_USE. */
export async function removeMlx(
  around: Surroundings,
  signal: AbortSignal,
  { force }: RemoveOptions,
): Promise<RemovedEngine> {
  const { dir, lock, inUse } = mlxPlaces(around)
  // Without the folder there is no place for a lock either.
  if ((await present(around)).length === 0) throw nothingThere(dir)
  try {
    const held = await takePullLock(lock, signal, () => {})
    try {
      const claim = await claimThing(inUse, what, force)
      try {
        return { path: dir, freedBytes: await removeAll(around) }
      } finally {
        claim.release()
      }
    } finally {
      await held.release()
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof PrefixdError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw installError(
      `${enginesDir(around)} cannot be changed (${code ?? error}).`,
      'Correct its permissions, or remove it yourself.',
      error,
    )
  }
}

/** Looks only now: whoever had the lock before may have installed or removed something. */
async function removeAll(around: Surroundings): Promise<number> {
  const { dir, old } = mlxPlaces(around)
  const paths = await present(around)
  if (paths.length === 0) throw nothingThere(dir)
  let freedBytes = 0
  for (const path of paths) freedBytes += await bytesBelow(path)
  // What is half removed must not be taken for an engine when this process ends in between.
  await rm(old, wholly)
  if (existsSync(dir)) await rename(dir, old)
  for (const path of [old, ...paths]) await rm(path, wholly)
  return freedBytes
}

const wholly = { recursive: true, force: true, maxRetries: 3 }

async function present(around: Surroundings): Promise<string[]> {
  const { dir, old } = mlxPlaces(around)
  return [dir, old, ...(await partialsLeft(around))].filter((path) => existsSync(path))
}

const nothingThere = (dir: string): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_ENGINE_MISSING',
    `The MLX engine is not installed (there is no ${dir}).`,
    { field: 'engine', next: 'See what is installed: prefixd engines ls' },
  )
