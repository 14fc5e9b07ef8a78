import type { Limits } from '../config/limits.ts'
import type { Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import type { CatalogueModel } from './catalogue.ts'

export interface PullProgress {
  readonly receivedBytes: number
  /** Null while the source has not said. */
  readonly totalBytes: number | null
}

/** How patient a download is; from `limits`, tests say less. */
export type Patience = Readonly<
  Record<
    Extract<
      keyof Limits,
      | 'pullFruitlessTries'
      | 'pullUnreachableTries'
      | 'pullTries'
      | 'pullBackoffMinMs'
      | 'pullBackoffMaxMs'
      | 'pullSilenceMs'
      | 'pullRedirects'
      | 'pullSyncBytes'
    >,
    number
  >
>

export interface PullOptions {
  readonly around?: Surroundings
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: PullProgress) => void
  /** Sentences for people: a source that failed, a process that is waited for. */
  readonly onNotice?: (sentence: string) => void
  readonly patience?: Partial<Patience>
  /** In place of the catalogue's own; for mirrors and tests. */
  readonly catalogueModels?: readonly CatalogueModel[]
}

/** What a pull works with, all of it said. */
export type Settled = Required<Omit<PullOptions, 'patience' | 'catalogueModels'>> & {
  readonly patience: Patience
}

/** What was asked for; null where nobody knows. */
export interface Expected {
  readonly sha256: string | null
  readonly sizeBytes: number | null
}

/** Whole, verified, synced, and not yet in its place. */
export interface Downloaded {
  readonly path: string
  readonly sizeBytes: number
  readonly sha256: string
}

export const pullError = (message: string, next: string, cause?: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_MODEL_PULL', message, {
    field: 'model',
    next,
    ...(cause === undefined ? {} : { cause }),
  })

/** Would the next source meet the same obstacle, because it is on this machine? */
export const isLocalFailure = (error: unknown): boolean => {
  const cause = error instanceof PrefixdError ? error.cause : error
  const code = (cause as NodeJS.ErrnoException | undefined)?.code
  return code !== undefined && ['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EPERM'].includes(code)
}

/** The sentence for a file system that does not take what is written. */
export function diskError(error: unknown, path: string): PrefixdError {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? pullError(
        `The disk is full (${code}) while writing ${path}.`,
        'Free some space, or set PREFIXD_MODELS_DIR to a larger disk; a download is resumed.',
        error,
      )
    : pullError(
        `${path} cannot be written (${code ?? error}).`,
        'Set PREFIXD_MODELS_DIR to a folder that you can write.',
        error,
      )
}
