/**
 * The registry of every error that a user can meet. Codes are for ever: a removed one stays listed
 * as retired. docs/errors.md has one section for each; test/architecture.test.ts compares them.
 */

interface ErrorKind {
  readonly status: number
  /** OpenAI's `error.type` and `error.code`. */
  readonly type: string
  readonly code: string | null
  /** Exit code of the CLI. */
  readonly exit: number
  /** Would the same request fail again? Then clients are told not to retry. */
  readonly retry: boolean
}

const invalid = (code: string): ErrorKind => ({
  status: 400,
  type: 'invalid_request_error',
  code,
  exit: 2,
  retry: false,
})
const unavailable = (code: string): ErrorKind => ({
  status: 503,
  type: 'unavailable_error',
  code,
  exit: 1,
  retry: true,
})
const internal: ErrorKind = {
  status: 500,
  type: 'api_error',
  code: 'internal_error',
  exit: 1,
  retry: false,
}
const startup: ErrorKind = { ...internal, exit: 1 }

export const errorKinds = {
  PREFIXD_E_INVALID_VALUE: invalid('invalid_value'),
  PREFIXD_E_INVALID_JSON: invalid('invalid_json'),
  PREFIXD_E_UNSUPPORTED_PARAMETER: invalid('unsupported_parameter'),
  PREFIXD_E_SCHEMA: invalid('invalid_json_schema'),
  PREFIXD_E_CONTEXT_LENGTH: invalid('context_length_exceeded'),
  PREFIXD_E_REQUEST_TOO_LARGE: { ...invalid('request_too_large'), status: 413 },
  PREFIXD_E_MODEL_NOT_FOUND: {
    ...invalid('model_not_found'),
    status: 404,
    type: 'not_found_error',
    exit: 4,
  },
  PREFIXD_E_ROUTE_NOT_FOUND: {
    ...invalid('route_not_found'),
    status: 404,
    type: 'not_found_error',
    exit: 4,
  },
  PREFIXD_E_FORBIDDEN_HOST: {
    ...invalid('forbidden_host'),
    status: 403,
    type: 'permission_error',
  },
  PREFIXD_E_API_KEY: {
    ...invalid('invalid_api_key'),
    status: 401,
    type: 'authentication_error',
  },
  PREFIXD_E_ADMIN_KEY: {
    ...invalid('admin_key_required'),
    status: 403,
    type: 'permission_error',
  },
  PREFIXD_E_NOT_SUPPORTED: {
    ...invalid('not_supported'),
    status: 501,
    type: 'not_supported_error',
  },
  PREFIXD_E_PREFIX_NOT_FOUND: {
    ...invalid('prefix_not_found'),
    status: 404,
    type: 'not_found_error',
    exit: 4,
  },
  PREFIXD_E_REQUEST_NOT_FOUND: {
    ...invalid('request_not_found'),
    status: 404,
    type: 'not_found_error',
    exit: 4,
  },
  PREFIXD_E_PREFIX_AMBIGUOUS: { ...invalid('prefix_ambiguous'), status: 400, exit: 4 },
  PREFIXD_E_PREFIX_PINNED: { ...invalid('prefix_pinned'), status: 409, exit: 3 },
  PREFIXD_E_PIN_LIMIT: { ...invalid('pin_limit'), status: 409, exit: 3 },
  PREFIXD_E_SESSION_NOT_FOUND: {
    ...invalid('session_not_found'),
    status: 404,
    type: 'not_found_error',
    exit: 4,
  },
  PREFIXD_E_PREFIX_IN_USE: { ...invalid('prefix_in_use'), status: 409, exit: 3 },
  PREFIXD_E_IN_USE: { ...invalid('in_use'), status: 409, exit: 3 },
  PREFIXD_E_ENGINE_QUEUE_FULL: {
    status: 429,
    type: 'rate_limit_error',
    code: 'queue_full',
    exit: 1,
    retry: true,
  },
  PREFIXD_E_TOO_MANY_READERS: {
    status: 429,
    type: 'rate_limit_error',
    code: 'too_many_readers',
    exit: 1,
    retry: true,
  },
  PREFIXD_E_ENGINE_LOADING: unavailable('model_loading'),
  PREFIXD_E_ENGINE_DIED: unavailable('worker_restarting'),
  PREFIXD_E_ENGINE_FAILED: unavailable('worker_failed'),
  PREFIXD_E_ENGINE_STOPPING: unavailable('shutting_down'),
  PREFIXD_E_ENGINE_TIMEOUT: {
    status: 504,
    type: 'timeout_error',
    code: 'timeout',
    exit: 1,
    retry: false,
  },
  PREFIXD_E_ENGINE_PROTOCOL: internal,
  PREFIXD_E_ENGINE_TEMPLATE: invalid('template_error'),
  PREFIXD_E_ENGINE_GRAMMAR: invalid('invalid_grammar'),
  PREFIXD_E_ENGINE_TOO_LARGE: { ...invalid('request_too_large'), status: 413 },
  PREFIXD_E_ENGINE_RESTORE: internal,
  PREFIXD_E_ENGINE_COMPUTE: internal,
  PREFIXD_E_ENGINE_MODEL: startup,
  PREFIXD_E_ENGINE_SETTINGS: { ...startup, exit: 2 },
  PREFIXD_E_ENGINE_LIBRARY: startup,
  PREFIXD_E_ENGINE_MISSING: startup,
  PREFIXD_E_ENGINE_INSTALL: startup,
  PREFIXD_E_CACHE_DIRECTORY: startup,
  PREFIXD_E_CACHE_LOCKED: startup,
  PREFIXD_E_CACHE_FORMAT: startup,
  PREFIXD_E_CACHE_KEY: startup,
  PREFIXD_E_CACHE_ARENA: startup,
  PREFIXD_E_CACHE_FULL: internal,
  PREFIXD_E_CACHE_IO: internal,
  PREFIXD_E_CACHE_CORRUPT: internal,
  PREFIXD_E_CATALOG: internal,
  PREFIXD_E_DAMAGE_FOUND: { ...startup, exit: 5 },
  PREFIXD_E_IMPORT_FORMAT: invalid('import_format'),
  PREFIXD_E_IMPORT_DAMAGED: { ...invalid('import_damaged'), exit: 5 },
  PREFIXD_E_IMPORT_SIGNER: { ...invalid('import_signer'), status: 403, exit: 3 },
  PREFIXD_E_IMPORT_FINGERPRINT: { ...invalid('import_fingerprint'), status: 409, exit: 6 },
  PREFIXD_E_CONFIG: { ...startup, exit: 2 },
  PREFIXD_E_MEMORY: { ...startup, exit: 2 },
  PREFIXD_E_MODEL_FILE: { ...startup, exit: 4 },
  PREFIXD_E_MODEL_KIND: { ...startup, exit: 4 },
  PREFIXD_E_MODEL_PULL: startup,
  PREFIXD_E_MODEL_CONVERT: startup,
  PREFIXD_E_TRACE: { ...startup, exit: 2 },
  PREFIXD_E_MACHINE: startup,
  PREFIXD_E_PORT_IN_USE: startup,
  PREFIXD_E_UNREACHABLE: { ...startup, exit: 7 },
  PREFIXD_E_INTERNAL: internal,
} as const satisfies Record<string, ErrorKind>

/** Header with `next` alone, percent-encoded; the message of an answer ends with it. */
export const adviceHeader = 'x-prefixd-next'

export type ErrorCode = keyof typeof errorKinds

export interface ErrorDetails {
  /** The field or setting that is wrong, e.g. `messages[3].content` or `--port`. */
  readonly field?: string
  /** What to do next, as a sentence. */
  readonly next?: string
  readonly retryAfterSeconds?: number
  readonly cause?: unknown
}

/**
 * Every error that the product throws itself. The message says what is wrong and what is allowed.
 */
export class PrefixdError extends Error {
  override readonly name = 'PrefixdError'
  readonly code: ErrorCode
  readonly field: string | null
  readonly next: string | null
  readonly retryAfterSeconds: number | null
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.field = details.field ?? null
    this.next = details.next ?? null
    this.retryAfterSeconds = details.retryAfterSeconds ?? null
  }
}

/** As much of a client's own words as it needs to know them again; a body may have megabytes. */
export const shown = (text: string): string =>
  text.length <= shownLength ? text : `${text.slice(0, shownLength)}…`

const shownLength = 64

/** What is known of any error, whichever layer threw it. Unknown ones are our bugs. */
export function kindOf(error: unknown): ErrorKind & { readonly prefixdCode: ErrorCode } {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code === 'string' && Object.hasOwn(errorKinds, code)) {
    return { ...errorKinds[code as ErrorCode], prefixdCode: code as ErrorCode }
  }
  return { ...internal, prefixdCode: 'PREFIXD_E_INTERNAL' }
}
