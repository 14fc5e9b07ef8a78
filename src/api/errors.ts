/** Any error → what the client sees of it: status, headers and OpenAI's envelope. */
import { STATUS_CODES } from 'node:http'
import type { FastifyError } from 'fastify'
import type OpenAI from 'openai'
import { limits } from '../config/limits.ts'
import { adviceHeader, kindOf, PrefixdError } from '../errors.ts'
import { invalidRequest, type RequestPart } from './invalid-request.ts'
import type { ErrorBodyJson } from './native/schema.ts'

/** Why an answer was aborted: nobody is there to read it. Seen in the log only, as 499. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

export interface ErrorReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ErrorBodyJson
}

const requestParts: readonly string[] = ['body', 'querystring', 'params', 'headers']

/** Fastify's own errors, and Ajv's, as ours. Everything else stays what it is. */
function translate(error: unknown, bodyLimitBytes: number): unknown {
  const { code, validation, validationContext } = error as Partial<FastifyError>
  if (validation) {
    const part = requestParts.includes(validationContext ?? '') ? validationContext : 'body'
    return invalidRequest(validation, part as RequestPart)
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new PrefixdError(
      'PREFIXD_E_REQUEST_TOO_LARGE',
      `The body is over the limit of ${bodyLimitBytes} bytes.`,
      { next: 'Send fewer or shorter messages.' },
    )
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new PrefixdError('PREFIXD_E_INVALID_VALUE', 'content-type must be application/json.', {
      field: 'content-type',
      next: 'Send the header "content-type: application/json".',
    })
  }
  if (code === 'FST_ERR_CTP_EMPTY_JSON_BODY' || code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH') {
    return new PrefixdError('PREFIXD_E_INVALID_JSON', 'The body is empty or cut short.', {
      next: 'Send a JSON object, and a content-length that matches it.',
    })
  }
  if (code === 'FST_ERR_BAD_URL') {
    return new PrefixdError('PREFIXD_E_ROUTE_NOT_FOUND', 'The path is not valid percent-encoding.')
  }
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `The id in the path may have ${limits.nameLength} characters; it has more.`,
      { field: 'id' },
    )
  }
  return error
}

/**
 * Four keys, always. An error that nobody foresaw is our bug: it is answered without its text,
 * which may say too much, and with the id under which the log has it.
 */
export function toErrorReply(
  thrown: unknown,
  requestId: string,
  bodyLimitBytes: number = limits.bodyBytes,
): ErrorReply {
  const error = translate(thrown, bodyLimitBytes)
  const kind = kindOf(error)
  const own = error instanceof PrefixdError ? error : null
  const retryAfterSeconds = (error as { retryAfterSeconds?: number | null } | null)
    ?.retryAfterSeconds
  // Clients that obey would ask again and again for what only a person can mend.
  const mayRetry = kind.retry && (error as { retry?: boolean } | null)?.retry !== false
  const unforeseen = kind.prefixdCode === 'PREFIXD_E_INTERNAL' && own === null
  const message = unforeseen
    ? `prefixd failed in a way that it should not. Its log has the details under ${requestId}.`
    : [(error as Error).message, own?.next].filter(Boolean).join(' ')
  return {
    status: kind.status,
    headers: {
      'x-prefixd-error': kind.prefixdCode,
      ...(mayRetry ? retryHeaders(retryAfterSeconds ?? 1) : { 'x-should-retry': 'false' }),
      ...(kind.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      ...adviceOf(own),
    },
    body: {
      error: {
        message,
        type: kind.type,
        param: own?.field ?? null,
        code: kind.code,
      } satisfies OpenAI.ErrorObject,
    },
  }
}

/** For who shows it apart from what is wrong, as our CLI does; a long one is in the body only. */
function adviceOf(error: PrefixdError | null): Record<string, string> {
  if (!error?.next) return {}
  // Names of clients may have halves of characters, which cannot be encoded.
  const advice = encodeURIComponent(error.next.toWellFormed())
  return advice.length > limits.adviceHeaderLength ? {} : { [adviceHeader]: advice }
}

/** Whole seconds for everybody; the SDKs of OpenAI and Anthropic read the finer figure first. */
function retryHeaders(afterSeconds: number): Record<string, string> {
  return {
    'retry-after': String(Math.max(1, Math.ceil(afterSeconds))),
    'retry-after-ms': String(Math.max(1, Math.round(afterSeconds * 1000))),
    'x-should-retry': 'true',
  }
}

/** For what never becomes a request: broken HTTP, headers that are too long or too slow. */
export function rawHttpError(status: 400 | 408 | 431): string {
  const reason = STATUS_CODES[status] ?? 'Bad Request'
  const error = { message: reason, type: 'invalid_request_error', param: null, code: null }
  const body = JSON.stringify({ error } satisfies ErrorBodyJson)
  return [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}
