/**
 * How the CLI says that something went wrong: what is wrong and what is allowed on the first line,
 * what to try next on the second. Stack traces only with PREFIXD_DEBUG=1.
 */
import { ArgumentScannerError, formatMessageForArgumentScannerError } from '@stricli/core'
import { closestNames } from '../config/closest-name.ts'
import { type ErrorCode, kindOf, PrefixdError } from '../errors.ts'
import { type CliContext, style, type Terminal } from './context.ts'
import { printable, printableLines } from './render/text.ts'

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** Ended by Ctrl-C, as shells count it. */
  interrupted: 130,
} as const

export interface Failure {
  readonly message: string
  readonly next: string | null
  readonly exit: number
}

/** The user ended the command; nothing is printed. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

/** A command line that cannot be obeyed. Exit code 2. */
export function usageError(message: string, next: string): PrefixdError {
  return new PrefixdError('PREFIXD_E_INVALID_VALUE', message, { next })
}

/** Of errors whose message has named what to change. */
const advice: Partial<Record<ErrorCode, string>> = {
  PREFIXD_E_ENGINE_SETTINGS:
    'change the settings that are named; `prefixd config` shows where each comes from',
}

export function failureOf(error: unknown): Failure | null {
  if (error instanceof Interrupted) return null
  const { prefixdCode, exit } = kindOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof PrefixdError) return { message, next: error.next, exit }
  const isOurs = error instanceof Error && 'code' in error && error.code === prefixdCode
  const next = isOurs
    ? (advice[prefixdCode] ?? `look up ${prefixdCode} in docs/errors.md`)
    : 'this is a bug of prefixd: run it again with PREFIXD_DEBUG=1 and report what it says'
  return { message, next, exit }
}

/** The lines of a failure; everything in them is escaped. */
export function failureLines(terminal: Terminal, failure: Failure): string[] {
  const [first = '', ...more] = printableLines(failure.message)
  const lines = [
    `${style(terminal, ['red', 'bold'], 'error')}  ${first}`,
    ...more.map((line) => `       ${line}`),
  ]
  if (failure.next !== null) {
    lines.push(`${style(terminal, 'bold', 'try')}    ${printable(failure.next)}`)
  }
  return lines
}

/** The text of a failed command, without a newline at its end; empty where there is none. */
export function failureText(context: CliContext, error: unknown): string {
  const failure = failureOf(error)
  if (failure === null) return ''
  const lines = failureLines(context.err, failure)
  const stack = error instanceof Error ? error.stack : undefined
  if (context.around.env.PREFIXD_DEBUG === '1' && stack !== undefined) {
    lines.push(...printableLines(stack))
    if (error instanceof Error && error.cause !== undefined) {
      lines.push(...printableLines(`cause: ${causeText(error.cause)}`))
    }
  }
  return lines.join('\n')
}

function causeText(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
}

/** Flags and arguments that stricli could not read. */
export function scannerFailure(
  error: unknown,
  command: string,
  inputs: readonly string[],
): Failure {
  const next = `see what is allowed: prefixd ${command}${command === '' ? '' : ' '}--help`
  if (error instanceof PrefixdError) {
    return { message: error.message, next: error.next ?? next, exit: exitCodes.usage }
  }
  if (!(error instanceof ArgumentScannerError)) {
    const message = error instanceof Error ? error.message : String(error)
    return { message, next, exit: exitCodes.usage }
  }
  return { message: scannerMessage(error, inputs), next, exit: exitCodes.usage }
}

function scannerMessage(error: ArgumentScannerError, inputs: readonly string[]): string {
  return formatMessageForArgumentScannerError(error, {
    FlagNotFoundError: ({ input, corrections }) =>
      `there is no flag --${input}${suggestion(closestFlags(input, corrections))}`,
    AliasNotFoundError: ({ input }) => `there is no flag -${input}`,
    EnumValidationError: ({ externalFlagName, input, values }) =>
      `--${externalFlagName} cannot be "${input}"; allowed: ${values.join(', ')}`,
    ArgumentParseError: ({ externalFlagNameOrPlaceholder, input, exception }) => {
      const why = exception instanceof Error ? exception.message : String(exception)
      return `--${externalFlagNameOrPlaceholder} cannot be "${input}": ${why}`
    },
    UnsatisfiedFlagError: ({ externalFlagName, nextFlagName }) =>
      inputs.includes(`--${externalFlagName}`)
        ? `--${externalFlagName} needs a value${nextFlagName ? ` before --${nextFlagName}` : ''}`
        : `--${externalFlagName} is missing`,
    UnexpectedFlagError: ({ externalFlagName, input, previousInput }) =>
      `--${externalFlagName} is given twice: "${previousInput}" and "${input}"`,
    UnexpectedPositionalError: ({ expectedCount, input }) =>
      expectedCount === 0
        ? `"${input}" is one argument too many; this command takes flags only`
        : `"${input}" is one argument too many; this command takes ${expectedCount}`,
    UnsatisfiedPositionalError: ({ placeholder }) => `<${placeholder}> is missing`,
  })
}

/** The parser offers any flag that is short enough. */
function closestFlags(input: string, names: readonly string[]): string[] {
  return closestNames(input, names.map(kebab)).map((name) => `--${name}`)
}

/** As people write a flag. */
export const kebab = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

function suggestion(corrections: readonly string[]): string {
  return corrections.length === 0 ? '' : `; did you mean ${corrections.join(' or ')}?`
}

/** A word that is no command of `prefixd`, or of a group such as `prefixd models`. */
export function unknownCommand(
  input: string,
  group: string | null,
  commands: readonly string[],
): Failure {
  const where = group === null ? '' : ` of prefixd ${group}`
  const close = suggestion(closestNames(input, commands))
  return {
    message: `"${input}" is no command${where}${close}`,
    next: `see what each does: prefixd help${group === null ? '' : ` ${group}`}`,
    exit: exitCodes.usage,
  }
}
