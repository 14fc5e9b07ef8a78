/** `prefixd config`: what the service would run with, and who said so. */
import type { LoadedConfig } from '../../config/load.ts'
import { type Config, type Property, type Setting, settingList } from '../../config/schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { type Column, tableLines } from '../render/table.ts'
import { printable } from '../render/text.ts'
import { loadWithFlags } from '../setting-flags.ts'

/** Of `serve`, and `json`. */
export type ConfigFlags = Readonly<Record<string, unknown>>

export async function config(this: CliContext, flags: ConfigFlags): Promise<void> {
  const loaded = await loadWithFlags(this, flags)
  if (flags.json === true) return writeJson(this.out, configJson(loaded))
  const rows = settingList.map(([property, setting]) => rowOf(loaded, property, setting))
  const file = loaded.file === null ? 'no file was read' : `read ${printable(loaded.file)}`
  writeLines(this.out, [
    ...tableLines(columns, rows, this.out.width, (line) => style(this.out, 'bold', line)),
    '',
    `${file}; order: defaults < file < environment < flags`,
  ])
}

/** Stable: `{ file, settings: { KEY: { value, origin, env } } }`, sizes in bytes. */
function configJson(loaded: LoadedConfig) {
  const settings = settingList.map(([property, { key, env }]) => [
    key,
    { value: loaded.config[property], origin: loaded.origins[property], env },
  ])
  return { file: loaded.file, settings: Object.fromEntries(settings) }
}

interface Row {
  readonly key: string
  readonly value: string
  readonly origin: string
  readonly env: string
}

function rowOf(loaded: LoadedConfig, property: Property, setting: Setting<unknown>): Row {
  const origin = loaded.origins[property]
  return {
    key: setting.key,
    value: shown(loaded.config, property, setting),
    origin,
    env: setting.env,
  }
}

function shown(values: Config, property: Property, setting: Setting<unknown>): string {
  const value = values[property]
  if (value === null) return setting.defaultText
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(',')
  if (setting.kind.placeholder !== 'size' || typeof value !== 'number') return String(value)
  return value === 0 ? '0 (off)' : formatSize(value)
}

const columns: readonly Column<Row>[] = [
  { title: 'SETTING', priority: 0, value: (row) => row.key },
  { title: 'VALUE', priority: 0, minCells: 24, value: (row) => row.value },
  { title: 'ORIGIN', priority: 1, minCells: 20, value: (row) => row.origin },
  { title: 'VARIABLE', priority: 2, value: (row) => row.env },
]
