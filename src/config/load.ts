/**
 * defaults < file < environment < flags. Every value remembers where it came from, and everything
 * that is wrong is a PREFIXD_E_CONFIG that names the key, what is allowed and what to do next.
 */
import { readFileSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { PrefixdError } from '../errors.ts'
import { closestNames } from './closest-name.ts'
import { limits } from './limits.ts'
import { isLoopback } from './loopback.ts'
import { machineMemory } from './machine-memory.ts'
import {
  currentSurroundings,
  defaultConfigFile,
  defaultDataDir,
  expandPath,
  type Surroundings,
} from './paths.ts'
import {
  type Config,
  configKeys,
  type Machine,
  type Property,
  type Setting,
  settingList,
} from './schema.ts'
import { readShare, repeatedAt } from './shares.ts'

/** Flags by key, e.g. `{ 'block-tokens': '256', save: false }`; undefined is not given. */
export type Flags = Readonly<Record<string, string | number | boolean | undefined>>

export interface LoadOptions {
  readonly flags?: Flags
  /** `--config`. */
  readonly configFile?: string
  readonly around?: Surroundings
  readonly machine?: Omit<Machine, 'dataDir'>
}

export interface LoadedConfig {
  readonly config: Config
  /** `default`, `file PATH: KEY`, `env NAME` or `flag --KEY`, for every value. */
  readonly origins: Readonly<Record<Property, string>>
  /** The file that was read. */
  readonly file: string | null
}

interface Given {
  readonly raw: unknown
  readonly origin: string
  /** Where a relative path starts. */
  readonly baseDir: string
}

const complain = (message: string, field: string, next: string, cause?: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_CONFIG', message, {
    field,
    next,
    ...(cause === undefined ? {} : { cause }),
  })

/**
 * The effective configuration. Reads one file at most; throws PREFIXD_E_CONFIG for an unreadable
 * file, an unknown key, a value that is not allowed, and a host that is open without `insecure`.
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const around = options.around ?? currentSurroundings()
  const machine = { ...(options.machine ?? thisMachine()), dataDir: defaultDataDir(around) }
  const file = readConfigFile(options.configFile, around)
  refuseUnknownKeys(Object.keys(options.flags ?? {}), (key) => `--${key}`, 'the command line')

  const config: Partial<Record<Property, unknown>> = {}
  const origins: Partial<Record<Property, string>> = {}
  for (const [property, setting] of settingList) {
    const given = findGiven(setting, options.flags ?? {}, file, around)
    config[property] =
      given === null ? setting.defaultOf(machine) : readGiven(setting, given, around)
    origins[property] = given === null ? 'default' : given.origin
  }
  const loaded = {
    config: config as Config,
    origins: origins as Record<Property, string>,
    file: file?.path ?? null,
  }
  refuseOpenHost(loaded)
  refuseRepeatedShare(loaded)
  return loaded
}

const thisMachine = (): Omit<Machine, 'dataDir'> => ({
  memoryBytes: machineMemory().totalBytes,
  cpuCount: availableParallelism(),
})

interface ConfigFile {
  readonly path: string
  readonly table: Readonly<Record<string, unknown>>
}

/** The file that `--config` or PREFIXD_CONFIG names must exist; the default one need not. */
function readConfigFile(flag: string | undefined, around: Surroundings): ConfigFile | null {
  const named =
    flag !== undefined
      ? { path: flag, field: '--config' }
      : around.env.PREFIXD_CONFIG
        ? { path: around.env.PREFIXD_CONFIG, field: 'PREFIXD_CONFIG' }
        : null
  const path =
    named === null
      ? defaultConfigFile(around)
      : expandPath(named.path, around.workingDir, around.home)
  const field = named?.field ?? path
  let text: string
  try {
    const { size } = statSync(path)
    if (size > limits.configFileBytes) {
      throw complain(
        `${path} has ${size} bytes; a config file has at most ${limits.configFileBytes}.`,
        field,
        'Name a TOML file with settings of docs/config.md.',
      )
    }
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof PrefixdError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (named === null && (code === 'ENOENT' || code === 'ENOTDIR')) return null
    throw complain(
      `The config file ${path} cannot be read (${code}).`,
      field,
      'Name a readable TOML file, or leave it away to run with the defaults.',
      error,
    )
  }
  const table = parseToml(text, path)
  const place = (key: string): string => `${key} in ${path}`
  refuseUnknownKeys(Object.keys(table), place, path)
  return { path, table }
}

function parseToml(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [what] = error.message.split('\n')
    throw complain(
      `${path}:${error.line}:${error.column}: ${what}`,
      path,
      'Write one `key = value` per line, texts in quotes; docs/config.md has an example.',
      error,
    )
  }
}

function refuseUnknownKeys(
  keys: readonly string[],
  nameOf: (key: string) => string,
  where: string,
): void {
  for (const key of keys) {
    if (configKeys.includes(key)) continue
    const close = closestNames(key, configKeys, 1)[0]
    throw complain(
      `${nameOf(key)} is not a setting. The settings are ${configKeys.join(', ')}.`,
      nameOf(key),
      close === undefined
        ? `Remove it from ${where}; \`prefixd config\` lists every setting.`
        : `Did you mean ${close}?`,
    )
  }
}

function findGiven(
  setting: Setting<unknown>,
  flags: Flags,
  file: ConfigFile | null,
  around: Surroundings,
): Given | null {
  const { key, env } = setting
  const flag = flags[key]
  if (flag !== undefined) {
    const name = flag === false && setting.kind.isSwitch ? `no-${key}` : key
    return { raw: flag, origin: `flag --${name}`, baseDir: around.workingDir }
  }
  // An empty variable counts as unset: compose files and CI systems cannot unset one.
  if (around.env[env]) {
    return { raw: around.env[env], origin: `env ${env}`, baseDir: around.workingDir }
  }
  if (file !== null && Object.hasOwn(file.table, key)) {
    const origin = `file ${file.path}: ${key}`
    return { raw: file.table[key], origin, baseDir: dirname(file.path) }
  }
  return null
}

function readGiven(setting: Setting<unknown>, given: Given, around: Surroundings): unknown {
  const value = setting.kind.read(given.raw)
  if (value === undefined) {
    throw complain(
      `${setting.key} must be ${setting.kind.allowed}; ` +
        `it is ${shown(given.raw)} (${given.origin}).`,
      setting.key,
      `Correct it there, or leave it away for the default (${setting.defaultText}).`,
    )
  }
  const { place } = setting.kind
  return place === undefined
    ? value
    : place(value, (path) => expandPath(path, given.baseDir, around.home))
}

function shown(raw: unknown): string {
  const text = typeof raw === 'string' ? JSON.stringify(raw) : describe(raw)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

function describe(raw: unknown): string {
  if (Array.isArray(raw)) return 'a list'
  if (raw instanceof Date) return 'a date'
  return typeof raw === 'object' ? 'a table' : String(raw)
}

function refuseOpenHost({ config, origins }: LoadedConfig): void {
  if (config.insecure || config.apiKeysFile !== null || isLoopback(config.host)) return
  throw complain(
    `host is ${config.host} (${origins.host}), which other machines can reach, ` +
      'and requests need no key: everybody there could read what is cached.',
    'host',
    'Use 127.0.0.1, or name a file of keys with --api-keys, or say --insecure if the network ' +
      'around this machine is trusted.',
  )
}

function refuseRepeatedShare({ config, origins }: LoadedConfig): void {
  const shares = config.shares.flatMap((text) => readShare(text) ?? [])
  const again = shares[repeatedAt(shares)]
  if (again === undefined) return
  throw complain(
    `share must have each name once; ${again.name} has two shares (${origins.shares}).`,
    'share',
    'Leave one of them away; what it may hold of RAM and of the SSD is one share, as ' +
      `\`${again.name}=2GiB/20GiB\`.`,
  )
}
