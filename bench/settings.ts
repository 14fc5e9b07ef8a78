/** What a run measures: the same settings for the service and for the bare engine beside it. */
import { writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Engine, type EngineOptions, type NodeEngine, startEngine } from '../engines/index.ts'
import { limits } from '../src/config/limits.ts'
import { type Flags, loadConfig } from '../src/config/load.ts'
import type { Config } from '../src/config/schema.ts'
import { resolveModel } from '../src/models/index.ts'

export interface Choices {
  readonly engine: NodeEngine
  readonly model: string
  readonly reuse: 'token' | 'block'
}

/** Throws a sentence that names the flag. */
export function readChoices(flags: Readonly<Record<keyof Choices, string>>): Choices {
  const { engine, model, reuse } = flags
  if (reuse !== 'token' && reuse !== 'block') {
    throw new Error(`--reuse is token or block, not ${reuse}.`)
  }
  if (engine !== 'llamacpp' && engine !== 'fake') {
    throw new Error(`--engine is llamacpp or fake, not ${engine}.`)
  }
  return { engine, model, reuse }
}

export interface Settings {
  readonly engine: NodeEngine
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
  const modelPath =
    choices.engine === 'fake' ? '' : (await resolveModel(choices.model, { pull: false })).path
  return { engine: choices.engine, config, modelPath, words: [...words, '--config', configFile] }
}

/** A worker with the options that the service gives to its own one, and nothing else around it. */
export function startBareEngine(
  { engine, config, modelPath }: Settings,
  memory: Pick<EngineOptions, 'arena' | 'view'>,
): Engine {
  return startEngine(engine, {
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
  })
}
