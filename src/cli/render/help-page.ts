/** The page of `prefixd help COMMAND`: purpose, examples, flags; never wider than 100 columns. */
import type { CommandHelp } from '../help.ts'
import { cellCount, pad, wrap } from './text.ts'

export interface HelpFlag {
  readonly name: string
  readonly placeholder: string | null
  readonly brief: string
  readonly default: string | null
}

const widestLine = 100
const widestText = 80
const narrowestText = 30

export function commandPage(
  name: string,
  help: CommandHelp,
  flags: readonly HelpFlag[],
  width: number,
): string[] {
  const usage = [`prefixd ${name}`, help.arguments, flags.length > 0 ? '[flags]' : undefined]
  return [
    `${help.brief}.`,
    '',
    'USAGE',
    `  ${usage.filter((part) => part !== undefined).join(' ')}`,
    '',
    ...wrap(help.about, Math.min(width, widestText)),
    '',
    'EXAMPLES',
    ...exampleLines(help),
    '',
    'FLAGS',
    ...flagLines(flags, Math.min(width, widestLine)),
  ]
}

/** The page of a command that only has commands below it. */
export function groupPage(
  name: string,
  commands: readonly (readonly [name: string, help: CommandHelp])[],
): string[] {
  const cells = Math.max(...commands.map(([command]) => command.length))
  return [
    'COMMANDS',
    ...commands.map(([command, { brief }]) => `  prefixd ${command.padEnd(cells)}   ${brief}`),
    '',
    `prefixd help ${name} <command> explains one with examples.`,
  ]
}

function exampleLines({ examples }: CommandHelp): string[] {
  const cells = Math.max(...examples.map(([command]) => command.length))
  const isWide = examples.some(([, what]) => cells + what.length + 7 > widestText)
  return examples.flatMap(([command, what]) =>
    isWide ? [`  # ${what}`, `  ${command}`] : [`  ${command.padEnd(cells)}   # ${what}`],
  )
}

function flagLines(flags: readonly HelpFlag[], width: number): string[] {
  const heads = flags.map(({ name, placeholder }) =>
    placeholder === null ? `  --${name}` : `  --${name} <${placeholder}>`,
  )
  const headCells = Math.max(...heads.map(cellCount)) + 3
  const textCells = Math.max(narrowestText, width - headCells)
  return flags.flatMap((flag, index) => {
    const suffix = flag.default === null ? '' : ` (default: ${flag.default})`
    return wrap(`${flag.brief}${suffix}`, textCells).map((line, row) =>
      `${pad(row === 0 ? (heads[index] ?? '') : '', headCells, 'left')}${line}`.trimEnd(),
    )
  })
}
