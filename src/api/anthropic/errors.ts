/** Anthropic's envelope around the same errors, for the clients that speak its dialect. */
import type Anthropic from '@anthropic-ai/sdk'
import type { FastifyRequest } from 'fastify'
import type { ErrorReply } from '../errors.ts'

/** By the route, or by the header that its clients send with every request. */
export function speaksAnthropic({ url, headers }: FastifyRequest): boolean {
  return /^\/v1\/messages(?:[/?]|$)/.test(url) || headers['anthropic-version'] !== undefined
}

export function toAnthropicError({ body }: ErrorReply, requestId: string) {
  return {
    type: 'error',
    error: { type: typeOf(body.error.type), message: body.error.message },
    request_id: requestId,
  } satisfies Anthropic.ErrorResponse
}

type ErrorType = Anthropic.ErrorObject['type']

/** All other types have the same name in both dialects. */
function typeOf(type: string): ErrorType {
  return type === 'unavailable_error' ? 'overloaded_error' : (type as ErrorType)
}
