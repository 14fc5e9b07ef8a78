/** From words to an exit code: routing, help, and what failures look like. */
import {
  type Application,
  type ApplicationText,
  buildApplication,
  run,
  type StricliIntegration,
  text_en,
} from '@stricli/core'
import { type CliContext, writeLines } from './context.ts'
import {
  exitCodes,
  type Failure,
  failureLines,
  failureOf,
  failureText,
  kebab,
  scannerFailure,
  unknownCommand,
} from './failure.ts'
import { type CommandHelp, commandHelp, overview } from './help.ts'
import { commandPage, groupPage, type HelpFlag } from './render/help-page.ts'
import { routes } from './routes.ts'

/**
 * Runs one command line (without `node` and the script). Never rejects; what went wrong is on
 * stderr. The exit codes are listed in docs/cli.md.
 */
export async function runCli(words: readonly string[], context: CliContext): Promise<number> {
  const inputs = spelledOut(words)
  if (inputs.length === 0) {
    context.out.write(overview(context.version))
    return exitCodes.ok
  }
  let exit: number | null = null
  const onFailure = (failure: Failure | null) => {
    exit = failure?.exit ?? exitCodes.interrupted
  }
  const app = application(context, inputs, onFailure)
  await run(app, inputs, context)
  if (exit !== null) return exit
  // What stricli calls its own failures is negative; none of them is left without a handler.
  return context.process.exitCode === 0 ? exitCodes.ok : exitCodes.failed
}

/** `prefixd`, `prefixd help` and `prefixd --help` are one; `help X` is `X --help`. */
function spelledOut(words: readonly string[]): readonly string[] {
  const [first, ...rest] = words
  if (first === '--version' || first === '-v' || first === 'version') return ['--version']
  if (first === 'help') return rest.length === 0 ? [] : [...rest, '--help']
  if ((first === '--help' || first === '-h') && rest.length === 0) return []
  return words
}

function application(
  context: CliContext,
  inputs: readonly string[],
  onFailure: (failure: Failure | null) => void,
): Application<CliContext> {
  const command = commandOf(inputs)
  const said = (failure: Failure): string => {
    onFailure(failure)
    return failureLines(context.err, failure).join('\n')
  }
  const failed = (error: unknown): string => {
    onFailure(failureOf(error))
    return failureText(context, error)
  }
  const text: ApplicationText = {
    ...text_en,
    noCommandRegisteredForInput: ({ input }) => said(unknown(input, inputs)),
    exceptionWhileParsingArguments: (error) => said(scannerFailure(error, command, inputs)),
    exceptionWhileLoadingCommandFunction: failed,
    exceptionWhileLoadingCommandContext: failed,
    exceptionWhileRunningCommand: failed,
    commandErrorResult: failed,
    exceptionWhileRunningIntegrationHook: ({ exception }) => failed(exception),
    exceptionWhileRunningIntegrationFlag: ({ exception }) => failed(exception),
  }
  return buildApplication(
    routes,
    {
      name: 'prefixd',
      scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
      localization: { text },
    },
    { help: helpFlag(context), version: versionFlag(context) },
  )
}

/** The words that name a command, e.g. `models pull`. */
function commandOf(inputs: readonly string[]): string {
  const words = inputs.slice(0, 2)
  const known = Object.keys(commandHelp)
  return known.find((name) => name === words.join(' ')) ?? known.find((n) => n === words[0]) ?? ''
}

function unknown(input: string, inputs: readonly string[]): Failure {
  const names = Object.keys(commandHelp).map((name) => name.split(' '))
  const group = inputs[0] !== input && names.some(([first]) => first === inputs[0])
  if (!group) return unknownCommand(input, null, [...new Set(names.map(([first = '']) => first))])
  const below = names.filter(([first]) => first === inputs[0]).map(([, second = '']) => second)
  return unknownCommand(input, inputs[0] ?? '', below)
}

function helpFlag(context: CliContext): StricliIntegration<CliContext> {
  return {
    flag: {
      brief: 'Explain a command with examples',
      aliases: ['h'],
      global: true,
      defaultForRouteMap: true,
      run(_app, { result }) {
        const name = result.prefix.slice(1).join(' ')
        const help = (commandHelp as Readonly<Record<string, CommandHelp>>)[name]
        if ('parameters' in result.target && help !== undefined) {
          const flags = Object.entries(result.target.parameters.flags ?? {}).map(helpOfFlag)
          return writeLines(context.out, commandPage(name, help, flags, context.out.width))
        }
        const below = Object.entries(commandHelp).filter(([full]) => full.startsWith(`${name} `))
        writeLines(context.out, groupPage(name, below))
      },
    },
  }
}

type StricliFlag = NonNullable<
  Extract<Application<CliContext>['root'], { parameters: unknown }>['parameters']['flags']
>[string]

function helpOfFlag([name, flag]: readonly [string, StricliFlag]): HelpFlag {
  const values = flag.kind === 'enum' ? flag.values.join('|') : flag.placeholder
  const byDefault = 'default' in flag ? flag.default : undefined
  const isNegatable = flag.kind === 'boolean' && flag.withNegated !== false
  return {
    name: isNegatable ? `[no-]${kebab(name)}` : kebab(name),
    placeholder: flag.kind === 'boolean' ? null : (values ?? 'value'),
    brief: flag.brief,
    default: byDefault === undefined ? null : String(byDefault),
  }
}

function versionFlag(context: CliContext): StricliIntegration<CliContext> {
  return {
    flag: {
      brief: 'Print the version',
      aliases: ['v'],
      run: () => context.out.write(`${context.version}\n`),
    },
  }
}
