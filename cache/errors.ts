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
