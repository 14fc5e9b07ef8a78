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
const isText = (value: unknown) => (value as { type?: unknown }).type === 'text'

const refusals: Readonly<Record<string, Refusal>> = {
  response_format: { harmless: isText, instead: 'Ask for the format in the prompt.' },
  tool_choice: { harmless: is('auto', 'none'), instead: 'Use "auto" or "none".' },
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
