/** An error of an engine or its worker. `code` is one of `PREFIXD_E_ENGINE_…`, listed in docs/errors.md. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: string
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
