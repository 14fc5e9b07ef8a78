/** One process brings a model; whoever else wants it waits, and finds it. */
import type { PrefixdError } from '../errors.ts'
import { takePullLock } from './pull-lock.ts'
import { diskError, pullError, type Settled } from './pull-types.ts'
import { makeModelsDir } from './store.ts'
import { type StoredModel, storePaths } from './store-paths.ts'

export interface PulledModel extends StoredModel {
  /** It was there before; nothing was downloaded. */
  readonly wasPresent: boolean
}

export interface Bringing {
  readonly name: string
  /** Null: it is not there, or not as it has to be. */
  readonly find: () => Promise<StoredModel | null>
  /** `isHeld`: is the lock still ours? */
  readonly bring: (isHeld: () => Promise<boolean>) => Promise<StoredModel>
}

/** Throws PREFIXD_E_MODEL_PULL, what `bring` throws, or the signal's reason. */
export async function pullOnce(
  { name, find, bring }: Bringing,
  { around, signal, onNotice }: Pick<Settled, 'around' | 'signal' | 'onNotice'>,
): Promise<PulledModel> {
  const present = await find()
  if (present !== null) return { ...present, wasPresent: true }
  await makeModelsDir(around)
  const { lock: lockPath } = storePaths(around, name)
  const lock = await takePullLock(lockPath, signal, ({ pid, host }) =>
    onNotice(`Process ${pid} on ${host} is pulling ${name} already; waiting for it.`),
  ).catch((error: unknown) => {
    signal.throwIfAborted()
    throw diskError(error, lockPath)
  })
  try {
    // Whoever was waited for may have brought it.
    const brought = await find()
    if (brought !== null) return { ...brought, wasPresent: true }
    return { ...(await bring(lock.isHeld)), wasPresent: false }
  } finally {
    await lock.release()
  }
}

export const takenOver = (name: string): PrefixdError =>
  pullError(`Another process took over the pull of ${name}.`, 'Try again when it is done.')
