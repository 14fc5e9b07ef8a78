/** An error of an engine. `code` is one of `PREFIXD_E_ENGINE_…`, listed in docs/errors.md. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: string
  /** When to send the request again; null: nobody knows. */
  readonly retryAfterSeconds: number | null
  /** False: it fails again until a person has mended something. */
  readonly retry: boolean
  constructor(
    code: string,
    message: string,
    {
      retryAfterSeconds = null,
      retry = true,
      ...options
    }: { cause?: unknown; retryAfterSeconds?: number | null; retry?: boolean } = {},
  ) {
    super(message, options)
    this.code = code
    this.retryAfterSeconds = retryAfterSeconds
    this.retry = retry
  }
}

/** A record that could not be restored; the sequence is empty. PREFIXD_E_ENGINE_RESTORE. */
export class RestoreError extends EngineError {
  /** 0-based among the records of the call. */
  readonly recordIndex: number
  /** True: the bytes fail their checksum. False: the engine refused them. */
  readonly corrupt: boolean
  constructor(
    message: string,
    details: { recordIndex: number; corrupt: boolean; cause?: unknown },
  ) {
    super('PREFIXD_E_ENGINE_RESTORE', message, { cause: details.cause })
    this.recordIndex = details.recordIndex
    this.corrupt = details.corrupt
  }
}

/** A grammar that cannot be used, and where in its text the trouble is, counted from 1. */
export class GrammarError extends EngineError {
  readonly line: number
  readonly column: number
  constructor(message: string, { line, column }: { line: number; column: number }) {
    super('PREFIXD_E_ENGINE_GRAMMAR', `Line ${line}, column ${column} of the grammar: ${message}`)
    this.line = line
    this.column = column
  }
}
