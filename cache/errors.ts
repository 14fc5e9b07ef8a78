/**
 * An error of the cache library. `code` is one of `PREFIXD_E_CACHE_…`, listed in docs/errors.md.
 */
export class CacheError extends Error {
  override readonly name = 'CacheError'
  readonly code: string
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/**
 * A tier or a share was used up, and what is there had to stay, or the tier could not grow: no
 * fault of the disk, whose own refusals have a cause.
 */
export const isOutOfRoom = (error: unknown): boolean =>
  error instanceof CacheError && error.code === 'PREFIXD_E_CACHE_FULL' && error.cause === undefined
