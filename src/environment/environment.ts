/** The installed environment of the MLX engine: where it lies, and whether it can be used. */
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type MlxDevice, mlxRequirements } from '../../engines/on-disk.ts'
import { enginesDir, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { readPins } from './pins.ts'

/** Written last, so an environment without it is not whole. */
export interface EnvironmentRecord {
  readonly format: 1
  readonly device: MlxDevice
  /** Digest of the versions that were installed. */
  readonly pins: string
  /** Version of mlx. */
  readonly version: string
  /** E.g. `3.11.7`. */
  readonly python: string
  /** `uv` or `pip`. */
  readonly installer: string
  readonly installedAtMs: number
  readonly sizeBytes: number
}

export interface MlxPlaces {
  readonly dir: string
  readonly python: string
  readonly record: string
  /**
   * While it is installed, with what pip and uv write beside it. Of this process alone: a pip whose
   * installer was killed may still write to the one before.
   */
  readonly partial: string
  /** The one before, until it is removed. */
  readonly old: string
  readonly lock: string
  /** Locked by services that use it: see src/models/in-use.ts. */
  readonly inUse: string
}

export type MlxEnvironment = { readonly places: MlxPlaces } & (
  | { readonly state: 'missing' }
  /** Made by another prefixd, for other versions, or by a Python that is gone. */
  | { readonly state: 'stale'; readonly why: string; readonly record: EnvironmentRecord | null }
  | { readonly state: 'ready'; readonly record: EnvironmentRecord }
)

export type ReadyEnvironment = Extract<MlxEnvironment, { state: 'ready' }>

const partialBeginning = 'mlx.partial-'

/** What installations have left that were killed. */
export async function partialsLeft(around: Surroundings): Promise<string[]> {
  const dir = enginesDir(around)
  const names = await readdir(dir).catch(() => [])
  return names.filter((name) => name.startsWith(partialBeginning)).map((name) => join(dir, name))
}

export function mlxPlaces(around: Surroundings): MlxPlaces {
  const at = (name: string): string => join(enginesDir(around), name)
  return {
    dir: at('mlx'),
    python: at('mlx/bin/python'),
    record: at('mlx/prefixd.json'),
    partial: at(`${partialBeginning}${process.pid}`),
    old: at('mlx.old'),
    lock: at('mlx.lock'),
    inUse: at('mlx.in-use'),
  }
}

/** Looks at the disk only; starts nothing. */
export function mlxEnvironment(around: Surroundings): MlxEnvironment {
  const places = mlxPlaces(around)
  if (!existsSync(places.dir)) return { places, state: 'missing' }
  const record = readRecord(places.record)
  if (record === null) {
    const why = 'it was not made by this version of prefixd'
    return { places, state: 'stale', why, record }
  }
  const why = faultOf(places, record)
  if (why !== null) return { places, state: 'stale', why, record }
  return { places, state: 'ready', record }
}

function readRecord(path: string): EnvironmentRecord | null {
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as EnvironmentRecord
    return record.format === 1 && existsSync(mlxRequirements(record.device)) ? record : null
  } catch {
    return null
  }
}

function faultOf({ python }: MlxPlaces, { pins, device, version }: EnvironmentRecord) {
  // A link into a Python that an update of the system has replaced.
  if (!existsSync(python)) return `its Python is gone (${python})`
  const wanted = readPins(mlxRequirements(device))
  if (wanted.digest === pins) return null
  const newer = wanted.versions.get('mlx')
  return newer === version
    ? 'its packages are not those that this version of prefixd was tested with'
    : `it has mlx ${version}, and this version of prefixd was tested with ${newer}`
}

/** Throws PREFIXD_E_ENGINE_MISSING, with the command that helps. */
export function readyEnvironment(around: Surroundings): ReadyEnvironment {
  const environment = mlxEnvironment(around)
  if (environment.state === 'ready') return environment
  const { dir } = environment.places
  const message =
    environment.state === 'missing'
      ? `The MLX engine is not installed (there is no ${dir}).`
      : `The MLX engine in ${dir} cannot be used: ${environment.why}.`
  throw new PrefixdError('PREFIXD_E_ENGINE_MISSING', message, {
    field: 'engine',
    next: 'prefixd engines install mlx (about 80 MB), or serve GGUF files with --engine llamacpp.',
  })
}
