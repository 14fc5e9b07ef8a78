/** What would change the answer and cannot be honoured is refused by name, never ignored. */
import { PrefixdError } from '../../errors.ts'

interface Refusal {
  readonly field: string
  /** With these values the field asks for nothing. Null and absent always do. */
  readonly isHarmless: (value: unknown) => boolean
  readonly next: string
}

const never = () => false
const whole = 'Send the whole conversation in `input`; its prefix is cached.'

const refusals: readonly Refusal[] = [
  { field: 'previous_response_id', isHarmless: never, next: whole },
  { field: 'conversation', isHarmless: never, next: whole },
  { field: 'prompt', isHarmless: never, next: 'Write the prompt into `instructions`.' },
  { field: 'background', isHarmless: (value) => value === false, next: 'Use `stream`.' },
]

/** Throws `PREFIXD_E_UNSUPPORTED_PARAMETER` for the first of them. */
export function refuseUnsupported(body: object): void {
  const fields = body as Readonly<Record<string, unknown>>
  for (const { field, isHarmless, next } of refusals) {
    const value = fields[field]
    if (value != null && !isHarmless(value)) throw refused(field, next)
  }
}

const refused = (field: string, next: string): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_UNSUPPORTED_PARAMETER',
    `${field} with this value is not supported.`,
    { field, next },
  )
