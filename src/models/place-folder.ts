/** A folder that something else makes, such as a converter: whole under its name, or not at all. */
import { lstat, mkdir, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { expandPath, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { convertedName } from './model-kind.ts'
import { takePullLock } from './pull-lock.ts'
import { diskError, isLocalFailure } from './pull-types.ts'
import { makeModelsDir } from './store.ts'
import { installFolder, writeFolderRecord } from './store-folder.ts'
import { storePaths } from './store-paths.ts'

export interface Placing {
  /** Id of the model that the new one is made of; its name follows from it. */
  readonly id: string
  /** For the store's record, e.g. `gguf:smollm2-135m`. */
  readonly source: string
  /** A folder of somebody's own; null: the store. */
  readonly out: string | null
  readonly around: Surroundings
  readonly signal: AbortSignal
  readonly onNotice: (sentence: string) => void
}

export interface PlacedFolder {
  /** As `--model` finds it. */
  readonly name: string
  readonly path: string
  readonly sizeBytes: number
}

/**
 * Calls `make` with an empty folder, which gets its name when `make` has resolved, and is removed
 * when it has not. Throws PREFIXD_E_INVALID_VALUE where the target exists, PREFIXD_E_MODEL_PULL for
 * a disk that takes nothing, what `make` throws, and the signal's reason.
 */
export async function placeFolder(
  placing: Placing,
  make: (folder: string) => Promise<void>,
): Promise<PlacedFolder> {
  const { around, out, signal } = placing
  const name = convertedName(placing.id)
  const paths = storePaths(around, name)
  const target = out === null ? paths.folder : expandPath(out, around.workingDir, around.home)
  const partial = `${target}.partial`
  const lockPath = `${target}.lock`
  await refuseExisting(target, out === null ? name : null)
  if (out === null) await makeModelsDir(around)
  const lock = await takePullLock(lockPath, signal, ({ pid, host }) =>
    placing.onNotice(`Process ${pid} on ${host} is making ${basename(target)}; waiting for it.`),
  ).catch((error: unknown) => {
    signal.throwIfAborted()
    throw diskError(error, target)
  })
  try {
    // Whoever was waited for may have made it.
    await refuseExisting(target, out === null ? name : null)
    await rm(partial, { recursive: true, force: true })
    await mkdir(partial)
    await make(partial)
    signal.throwIfAborted()
    if (out === null) {
      await writeFolderRecord(partial, { source: placing.source, commit: null, files: [] })
    }
    const { sizeBytes } = await installFolder(partial, target)
    return { name: out === null ? name : target, path: target, sizeBytes }
  } catch (error) {
    signal.throwIfAborted()
    throw isLocalFailure(error) && !(error instanceof PrefixdError)
      ? diskError(error, dirname(target))
      : error
  } finally {
    await rm(partial, { recursive: true, force: true })
    await lock.release()
  }
}

async function refuseExisting(target: string, name: string | null): Promise<void> {
  if ((await lstat(target).catch(() => null)) === null) return
  throw new PrefixdError('PREFIXD_E_INVALID_VALUE', `${target} exists already.`, {
    field: 'out',
    next:
      name === null
        ? 'Name a folder that does not exist yet.'
        : `Serve it with --engine mlx --model ${name}, or remove it first: ` +
          `\`prefixd models rm ${name}\`.`,
  })
}
