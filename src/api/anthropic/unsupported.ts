/**
 * Fields that would change the answer and that we cannot honour yet, refused by name: an answer
 * that silently ignores them is worse than none. What only informs or bills is ignored.
 */
import { PrefixdError } from '../../errors.ts'
import type { MessagesRequest } from './schema.ts'

/** Throws `PREFIXD_E_UNSUPPORTED_PARAMETER` for the first of them. */
export function refuseUnsupported(body: MessagesRequest): void {
  const forced = body.tool_choice?.type
  if (forced === 'any' || forced === 'tool') {
    throw unsupported('tool_choice', `of type "${forced}"`, 'Use "auto" or "none".')
  }
  if (body.output_config?.format != null) {
    throw unsupported('output_config.format', 'with any value', 'Ask for the format in the prompt.')
  }
}

const unsupported = (field: string, how: string, next: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_UNSUPPORTED_PARAMETER', `${field} ${how} is not supported yet.`, {
    field,
    next,
  })
