/** What a run measures: the same settings for the service and for the bare engine beside it. */
import { writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import {
  type Engine,
  type EngineOptions,
  type MlxRuntime,
  startEngine,
  startMlxEngine,
} from '../engines/index.ts'
import { limits } from '../src/config/limits.ts'
import { type Flags, loadConfig } from '../src/config/load.ts'
import { currentSurroundings } from '../src/config/paths.ts'
import type { Config, EngineName } from '../src/config/schema.ts'
import { mlxRuntime } from '../src/environment/index.ts'
import { kindOfEngine, resolveModel } from '../src/models/index.ts'

export interface Choices {
  readonly engine: EngineName
  readonly model: string
  readonly reuse: 'token' | 'block'
}

/** Throws a sentence that names the flag. */
export function readChoices(flags: Readonly<Record<keyof Choices, string>>): Choices {
  const { engine, model, reuse } = flags
  if (reuse !== 'token' && reuse !== 'block') {
    throw new Error(`--reuse is token or block, not ${reuse}.`)
  }
  if (engine !== 'llamacpp' && engine !== 'mlx' && engine !== 'fake') {
    throw new Error(`--engine is llamacpp, mlx or fake, not ${engine}.`)
  }
  return { engine, model, reuse }
}

export interface Settings {
  readonly engine: EngineName
  /** Its name, as it was asked for. */
  readonly model: string
  /** What the MLX engine runs on; null for the others. */
  readonly mlx: MlxRuntime | null
  readonly config: Config
  /** Command line of `prefixd serve`; nothing of this user's own settings is read. */
  readonly words: readonly string[]
  /** Path of the weights; empty for the fake engine. */
  readonly modelPath: string
}

/** One token per byte: the same texts take about four times as many. */
const fakeContextTokens = 65_536
const tierFlags = { ram: '1GiB', ssd: '2GiB' }

/**
 * Settings of a service that keeps its files in `directory`/data. The model must be stored here.
 */
export async function settingsFor(choices: Choices, directory: string): Promise<Settings> {
  const configFile = join(directory, 'empty.toml')
  writeFileSync(configFile, '')
  const flags: Flags = {
    ...choices,
    ...tierFlags,
    port: 0,
    dir: join(directory, 'data'),
    ...(choices.engine === 'fake' ? { ctx: fakeContextTokens } : {}),
  }
  const around = { env: {}, home: homedir(), platform: process.platform, workingDir: process.cwd() }
  const { config } = loadConfig({ flags, configFile, around })
  const words = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, String(value)])
  const { engine, model } = choices
  const kind = kindOfEngine(engine)
  return {
    engine,
    model,
    mlx: engine === 'mlx' ? await mlxRuntime(currentSurroundings()) : null,
    config,
    modelPath: kind === null ? '' : (await resolveModel(model, { pull: false, kind })).path,
    words: [...words, '--config', configFile],
  }
}

/** A worker with the options that the service gives to its own one, and nothing else around it. */
export function startBareEngine(
  { engine, mlx, config, modelPath }: Settings,
  memory: Pick<EngineOptions, 'arena' | 'view'>,
): Engine {
  const options: EngineOptions = {
    worker: {
      modelPath,
      contextTokens: config.contextTokens === 'auto' ? limits.contextTokens : config.contextTokens,
      sequences: 1,
      threads: config.threads,
      blockTokens: config.blockTokens,
      reuse: config.reuse,
      engine: {},
    },
    ...memory,
    limits: { ...limits, queuedRequests: config.queuedRequests },
    log: () => {},
  }
  if (engine !== 'mlx') return startEngine(engine, options)
  if (mlx === null) throw new Error('The MLX engine has nothing to run on.')
  return startMlxEngine(mlx, options)
}
