/** The flags of `serve` and `config`: one for each line of the configuration's schema. */
import type { FlagParametersForType } from '@stricli/core'
import type { Flags, LoadedConfig } from '../config/load.ts'
import { type Setting, settingList } from '../config/schema.ts'
import type { CliContext } from './context.ts'

/** Values are read by the configuration itself, so that flag, variable and file agree. */
interface TextFlag {
  readonly kind: 'parsed'
  readonly parse: (input: string) => string
  readonly optional: true
  readonly placeholder: string
  readonly brief: string
}

interface ListFlag extends TextFlag {
  readonly variadic: true
}

interface SwitchFlag {
  readonly kind: 'boolean'
  readonly optional: true
  readonly withNegated?: boolean
  readonly brief: string
}

type SettingFlag = TextFlag | ListFlag | SwitchFlag
type TableFlags = FlagParametersForType<Readonly<Record<string, unknown>>, CliContext>

/** stricli derives the kind of a flag from the type of its value, which a table does not have. */
function table(flags: Readonly<Record<string, SettingFlag>>): TableFlags {
  return flags as TableFlags
}

const sameText = (input: string): string => input

const configFileFlag: TextFlag = {
  kind: 'parsed',
  parse: sameText,
  optional: true,
  placeholder: 'file',
  brief: 'TOML file with settings (PREFIXD_CONFIG)',
}

/** By key, e.g. `block-tokens`, and `config`; switches also take `--no-save`. */
const settingFlags = table({
  ...Object.fromEntries(settingList.map(([, setting]) => [setting.key, flagOf(setting)])),
  config: configFileFlag,
})

/** Those of the table, and `--yes`. */
export const serveFlags: TableFlags = {
  ...settingFlags,
  ...table({
    yes: {
      kind: 'boolean',
      optional: true,
      withNegated: false,
      brief: 'Install an engine that is missing without asking',
    },
  }),
}

/** Those of the table, and `--json`. */
export const configFlags: TableFlags = {
  ...settingFlags,
  ...table({
    json: { kind: 'boolean', optional: true, withNegated: false, brief: 'Print JSON' },
  }),
}

function flagOf(setting: Setting<unknown>): SettingFlag {
  const brief = `${setting.description} Default: ${setting.defaultText}`
  if (setting.kind.isSwitch) return { kind: 'boolean', optional: true, brief }
  const { placeholder, isList } = setting.kind
  const flag = { kind: 'parsed', parse: sameText, optional: true, placeholder, brief } as const
  return isList === true ? { ...flag, variadic: isList } : flag
}

/** A flag that was repeated says what the variable says with commas. */
const textOf = (flag: unknown): Flags[string] =>
  Array.isArray(flag) ? (flag.length === 0 ? undefined : flag.join(',')) : (flag as Flags[string])

/** The configuration with these flags on top; other flags of the command are left out. */
export async function loadWithFlags(
  context: CliContext,
  flags: Readonly<Record<string, unknown>>,
): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config/load.ts')
  const given: Record<string, Flags[string]> = {}
  for (const [, { key }] of settingList) given[key] = textOf(flags[key])
  const configFile = flags.config
  return loadConfig({
    flags: given,
    around: context.around,
    ...(typeof configFile === 'string' ? { configFile } : {}),
  })
}
