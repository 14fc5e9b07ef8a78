/**
 * Fields that would change the answer and that we cannot honour yet. They are refused by name: an
 * answer that silently ignores `response_format` is worse than none.
 */
import { PrefixdError } from '../../errors.ts'

interface Refusal {
  /** Values with which the field asks for nothing. Null and absent always do. */
  readonly harmless: (value: unknown) => boolean
  readonly instead: string
}

const is =
  (...values: readonly unknown[]) =>
  (value: unknown) =>
    values.includes(value)
const isEmpty = (value: unknown) =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0
const isText = (value: unknown) => (value as { type?: unknown }).type === 'text'

const refusals: Readonly<Record<string, Refusal>> = {
  n: { harmless: is(1), instead: 'Send the request once per answer; the prefix is shared.' },
  logprobs: { harmless: is(false), instead: 'Leave it out.' },
  top_logprobs: { harmless: is(0), instead: 'Leave it out.' },
  logit_bias: { harmless: isEmpty, instead: 'Leave it out.' },
  response_format: { harmless: isText, instead: 'Ask for the format in the prompt.' },
  tool_choice: { harmless: is('auto', 'none'), instead: 'Use "auto" or "none".' },
  best_of: { harmless: is(1), instead: 'Leave it out.' },
  echo: { harmless: is(false), instead: 'Leave it out.' },
  suffix: { harmless: is(''), instead: 'Put the whole prompt into `prompt`.' },
}

/** Throws `PREFIXD_E_UNSUPPORTED_PARAMETER` for the first of them. */
export function refuseUnsupported(body: object): void {
  for (const [field, { harmless, instead }] of Object.entries(refusals)) {
    const value = (body as Readonly<Record<string, unknown>>)[field]
    if (value === undefined || value === null || harmless(value)) continue
    throw new PrefixdError(
      'PREFIXD_E_UNSUPPORTED_PARAMETER',
      `${field} with this value is not supported yet.`,
      { field, next: instead },
    )
  }
}
