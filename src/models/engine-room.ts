/** What room the engine gets of this machine, before anything is loaded. */
import { limits } from '../config/limits.ts'
import type { MachineMemory } from '../config/machine-memory.ts'
import type { Config } from '../config/schema.ts'
import { adapterBytes } from './adapter-bytes.ts'
import { readGgufMetadata } from './gguf-metadata.ts'
import { halfPrecision, parseKvTypes } from './kv-types.ts'
import { shareMemory } from './memory-share.ts'
import { modelMemoryOf } from './model-memory.ts'
import type { ResolvedModel } from './resolve.ts'

export interface EngineRoom {
  readonly contextTokens: number
  readonly sequences: number
  /** What the worker takes by plan, without the RAM tier; null: nobody can tell. */
  readonly engineBytes: number | null
  /** What somebody should know, and what explains the choice. */
  readonly notices: readonly string[]
  readonly why: string | null
}

/**
 * Reads no more than the model's header; null for an engine without a file. Throws
 * PREFIXD_E_MEMORY where what the settings ask for does not fit, PREFIXD_E_MODEL_FILE for a header
 * or an adapter that cannot be read.
 */
export async function engineRoom(
  config: Config,
  model: Pick<ResolvedModel, 'path' | 'sizeBytes'> | null,
  machine: MachineMemory,
): Promise<EngineRoom> {
  if (model === null) return unmeasured(config, limits.sequences)
  // What mlx takes of a model is known when it has loaded it.
  if (config.engine === 'mlx') return unmeasured(config, limits.sequences)
  // A build of the user's own may keep weights and contexts in the memory of a device.
  if (config.libraryDir !== null) return unmeasured(config, 1)
  const memory = modelMemoryOf(await readGgufMetadata(model.path))
  if (memory === null) return unmeasured(config, 1)
  const { contextTokens, sequences, ramBytes } = config
  const scaled = config.ropeScaling !== 'none'
  const kvTypes = parseKvTypes(config.kvType) ?? halfPrecision
  return shareMemory(
    { contextTokens, sequences, ramBytes, scaled, kvTypes },
    {
      machine,
      weightsBytes: model.sizeBytes,
      adaptersBytes: await adapterBytes(config.lora),
      model: memory,
    },
  )
}

/** The wishes count, or the usual. */
const unmeasured = (
  { contextTokens, sequences }: Config,
  unaskedSequences: number,
): EngineRoom => ({
  contextTokens: contextTokens === 'auto' ? limits.contextTokens : contextTokens,
  sequences: sequences === 'auto' ? unaskedSequences : sequences,
  engineBytes: null,
  notices: [],
  why: null,
})
