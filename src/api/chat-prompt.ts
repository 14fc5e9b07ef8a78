/** A chat of any dialect → the prompt that is computed, and what hygiene did to it. */
import type { FastifyRequest } from 'fastify'
import { cleanChat } from '../chat/hygiene/hygiene.ts'
import { type Chat, toRenderInput } from '../chat/messages.ts'
import { PrefixdError } from '../errors.ts'
import type { GenerateRequest, Prompt } from '../pipeline/types.ts'
import type { ApiContext } from './context.ts'

type ChatPrompt = Pick<GenerateRequest, 'hygiene'> & {
  readonly prompt: Extract<Prompt, { readonly kind: 'chat' }>
}

/** The header `x-prefixd-hygiene: off` leaves this request's chat as it came. */
export function readChatPrompt(
  chat: Chat,
  { hygiene: names }: Pick<ApiContext, 'hygiene'>,
  request: FastifyRequest,
): ChatPrompt {
  // First of all as it came: errors name the client's own messages.
  const input = toRenderInput(chat)
  if (isOff(request)) return { prompt: { kind: 'chat', input }, hygiene: null }
  const clean = cleanChat(chat, names)
  const cleanInput = clean.chat === chat ? input : toRenderInput(clean.chat)
  return { prompt: { kind: 'chat', input: cleanInput }, hygiene: clean.report }
}

function isOff({ headers }: FastifyRequest): boolean {
  const word = headers['x-prefixd-hygiene']
  if (word === undefined || word === 'off') return word === 'off'
  throw new PrefixdError('PREFIXD_E_INVALID_VALUE', 'x-prefixd-hygiene must be "off".', {
    field: 'x-prefixd-hygiene',
    next: 'Leave it out for what the service is set to.',
  })
}
