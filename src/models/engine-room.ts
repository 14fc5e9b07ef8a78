/** What room the engines get of this machine, before anything is loaded. */
import { limits } from '../config/limits.ts'
import type { MachineMemory } from '../config/machine-memory.ts'
import type { Config } from '../config/schema.ts'
import { adapterBytes } from './adapter-bytes.ts'
import { llamaSequences } from './context-bytes.ts'
import { readGgufMetadata } from './gguf-metadata.ts'
import { halfPrecision, parseKvTypes } from './kv-types.ts'
import { type ModelNeeds, shareAmong } from './memory-shares.ts'
import { readMlxFolder } from './mlx-folder.ts'
import { mlxMemoryOf } from './mlx-memory.ts'
import { float32Bytes, type MlxComputer, mlxNumbers } from './mlx-numbers.ts'
import { mlxSequences } from './mlx-sequences.ts'
import { mlxAdapterBytes, readMlxWeights } from './mlx-weights.ts'
import { modelMemoryOf } from './model-memory.ts'
import type { ResolvedModel } from './resolve.ts'
import type { NamedModel } from './served-models.ts'

export interface EngineRoom {
  readonly contextTokens: number
  readonly sequences: number
  /** What the worker takes by plan, without the RAM tier; null: nobody can tell. */
  readonly engineBytes: number | null
}

export interface ServiceRoom<Model> {
  /** In the order of the models. */
  readonly placed: readonly { readonly model: Model; readonly room: EngineRoom }[]
  /** What somebody should know, and what explains the choice. */
  readonly notices: readonly string[]
  readonly whys: readonly string[]
}

/** Only what is needed of a model that was found. */
export interface RoomSeeker extends Pick<NamedModel, 'id' | 'engine'> {
  readonly weights: Pick<ResolvedModel, 'path' | 'sizeBytes'> | null
  /** Null: another engine computes it. */
  readonly mlx: MlxComputer | null
}

/**
 * Reads no more than the models' headers. Throws PREFIXD_E_MEMORY where what the settings ask for
 * does not fit, PREFIXD_E_MODEL_FILE for a header or an adapter that cannot be read.
 */
export async function engineRooms<Model extends RoomSeeker>(
  config: Config,
  models: readonly Model[],
  machine: MachineMemory,
): Promise<ServiceRoom<Model>> {
  const needs = await Promise.all(models.map((model) => needsOf(config, model)))
  const { contextTokens, sequences, ramBytes } = config
  const scaled = config.ropeScaling !== 'none'
  const wish = { contextTokens, sequences, ramBytes, scaled }
  const { shares, notices, whys } = shareAmong(wish, machine, needs)
  const placed = models.map((model, at) => ({
    model,
    room: shares[at] ?? unmeasured(config, model.engine),
  }))
  return { placed, notices, whys }
}

async function needsOf(config: Config, { id, weights, mlx }: RoomSeeker): Promise<ModelNeeds> {
  const nobodyCanTell = { name: id, weightsBytes: 0, adaptersBytes: 0, model: null }
  if (weights === null) return nobodyCanTell
  // The memory of a device, which a llama.cpp of the user's own may have as well.
  if (mlx === null ? config.libraryDir !== null : mlx.device === 'cuda') return nobodyCanTell
  const { path, sizeBytes: weightsBytes } = weights
  if (mlx !== null) return { name: id, ...(await mlxNeeds(config, path, mlx)) }
  const memory = modelMemoryOf(await readGgufMetadata(path))
  const kvTypes = parseKvTypes(config.kvType) ?? halfPrecision
  const model = memory && llamaSequences(memory, kvTypes)
  return { name: id, weightsBytes, adaptersBytes: await adapterBytes(config.lora), model }
}

async function mlxNeeds(
  { kvType, blockTokens, lora: [adapter] }: Config,
  path: string,
  computer: MlxComputer,
): Promise<Omit<ModelNeeds, 'name'>> {
  const folder = await readMlxFolder(path)
  const weights = await readMlxWeights(path, folder)
  const isFloat32 = mlxNumbers(computer) === 'float32'
  const computedBytes = isFloat32 ? float32Bytes : weights.computedBytes
  const memory = mlxMemoryOf(folder.config)
  return {
    weightsBytes: isFloat32 ? weights.float32Bytes : weights.storedBytes,
    adaptersBytes: adapter === undefined ? 0 : await mlxAdapterBytes(adapter, isFloat32),
    model: memory && mlxSequences(memory, { computedBytes, kvType, callTokens: blockTokens }),
  }
}

/** The wishes count, or the usual. A llama.cpp that nobody can tell about gets one sequence. */
const unmeasured = (
  { contextTokens, sequences }: Config,
  engine: NamedModel['engine'],
): EngineRoom => ({
  contextTokens: contextTokens === 'auto' ? limits.contextTokens : contextTokens,
  sequences: sequences === 'auto' ? (engine === 'llamacpp' ? 1 : limits.sequences) : sequences,
  engineBytes: null,
})
