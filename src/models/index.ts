/** The only door to models: what there is, where it lies, how it comes here and goes. */
import { currentSurroundings, modelsDir, type Surroundings } from '../config/paths.ts'
import { type CatalogueModel, catalogue } from './catalogue.ts'
import { type DigestOptions, weightsDigest as digestOf } from './digest.ts'
import { type DiscoveredModel, discoverModels } from './discover.ts'
import type { Use } from './in-use.ts'
import {
  checkStored,
  listStored,
  type RemovedModel,
  type RemoveOptions,
  removeStored,
  useStored,
} from './store.ts'
import type { PartialModel, StoredModel } from './store-paths.ts'

export { type CatalogueModel, defaultModelName } from './catalogue.ts'
export type { DiscoveredModel } from './discover.ts'
export { type EngineRoom, engineRooms } from './engine-room.ts'
export type { Use } from './in-use.ts'
export { type MemoryFigures, memoryFigures } from './memory-figures.ts'
export { kindOfEngine, type ModelKind } from './model-kind.ts'
export { type PlacedFolder, type Placing, placeFolder } from './place-folder.ts'
export { canBePulled, pullModel } from './pull.ts'
export type { PulledModel } from './pull-once.ts'
export type { PullOptions, PullProgress } from './pull-types.ts'
export { type ResolvedModel, type ResolveOptions, resolveModel } from './resolve.ts'
export { findModels, type NamedModel, refuseTwins } from './served-models.ts'
export type { RemovedModel } from './store.ts'
export type { PartialModel, StoredModel } from './store-paths.ts'

export interface ModelList {
  /** The folder of pulled models. */
  readonly directory: string
  readonly stored: readonly StoredModel[]
  readonly partial: readonly PartialModel[]
  /** Of Ollama, LM Studio and the hub's cache. */
  readonly discovered: readonly DiscoveredModel[]
  /** Names that can be pulled, and are not stored yet. */
  readonly available: readonly CatalogueModel[]
}

/** Everything that `--model` would find on this disk, and what the catalogue has beside it. */
export async function listModels(around: Surroundings = currentSurroundings()): Promise<ModelList> {
  const [{ models, partial }, discovered] = await Promise.all([
    listStored(around),
    discoverModels(around),
  ])
  const available = catalogue.filter(({ name }) => !models.some((model) => model.name === name))
  return { directory: modelsDir(around), stored: models, partial, discovered, available }
}

/** Removes a pulled (or half pulled) model, and says how many bytes that freed. */
export const removeModel = (
  spec: string,
  around: Surroundings = currentSurroundings(),
  options: RemoveOptions = { force: false },
): Promise<RemovedModel> => removeStored(around, spec, options)

/** Rejects as `removeModel` would; removes nothing. */
export const checkRemovable = (
  spec: string,
  around: Surroundings,
  options: RemoveOptions,
): Promise<void> => checkStored(around, spec, options)

/** See `useStored`. `directory` is the service's. */
export const useModel = (
  path: string,
  directory: string,
  around: Surroundings = currentSurroundings(),
): Promise<Use | null> => useStored(around, path, directory)

/** sha256 of the weights for the namespace; reads each file once in its life (about 1 GB/s). */
export const weightsDigest = (
  path: string,
  { around = currentSurroundings(), ...options }: Partial<DigestOptions> = {},
): Promise<string> => digestOf(path, { ...options, around })
