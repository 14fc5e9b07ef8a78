/**
 * The folder of pulled models: `NAME.gguf` with `NAME.json` beside it, and folders of MLX models. A
 * weights file without the second one was put there by hand and is a model too. Downloads end in
 * `.partial`.
 */
import {
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, isAbsolute } from 'node:path'
import { closestNames } from '../config/closest-name.ts'
import { limits } from '../config/limits.ts'
import { expandPath, modelsDir, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { knownDigest, rememberDigest } from './digest.ts'
import { checkModelFile, isModelFile } from './gguf.ts'
import { isHubRef, parseHubRef, storeNameOf } from './hub-ref.ts'
import { claimThing, type Use, useThing } from './in-use.ts'
import type { ModelKind } from './model-kind.ts'
import { readPartial, removePartial } from './partial-file.ts'
import { liveHolder } from './pull-lock.ts'
import { type Downloaded, pullError } from './pull-types.ts'
import { findStoredFolder, partialFolder, removeFolder } from './store-folder.ts'
import { type PartialModel, type StoredModel, storePaths } from './store-paths.ts'

export interface StoreContents {
  readonly models: readonly StoredModel[]
  readonly partial: readonly PartialModel[]
}

export interface RemovedModel {
  readonly name: string
  readonly path: string
  readonly freedBytes: number
}

export interface RemoveOptions {
  /** Also while a service uses it. */
  readonly force: boolean
}

interface PullRecord {
  readonly format: 1
  readonly source: string
  readonly sizeBytes: number
  readonly pulledAtMs: number
}

/**
 * One pulled model; null when it is not there, or when its file is not a model. Without a kind the
 * GGUF file comes first.
 */
export async function findStored(
  around: Surroundings,
  name: string,
  kind: ModelKind | null = null,
): Promise<StoredModel | null> {
  if (name !== basename(name) || name === '') return null
  const file = kind === 'mlx' ? null : await findStoredFile(around, name)
  return file === null && kind !== 'gguf' ? findStoredFolder(around, name) : file
}

async function findStoredFile(around: Surroundings, name: string): Promise<StoredModel | null> {
  const paths = storePaths(around, name)
  if (!(await isModelFile(paths.weights))) return null
  // Through a link, which has a size of its own.
  const { size } = await stat(paths.weights)
  const record = await readRecord(paths.record)
  // A record that speaks of another size belongs to a file that was replaced by hand.
  const isOurs = record?.sizeBytes === size
  return {
    name,
    kind: 'gguf',
    path: paths.weights,
    sizeBytes: size,
    digest: await knownDigest(around, paths.weights),
    source: isOurs ? record.source : 'file',
    pulledAtMs: isOurs ? record.pulledAtMs : null,
  }
}

async function readRecord(path: string): Promise<PullRecord | null> {
  try {
    const record = JSON.parse(await readFile(path, 'utf8')) as PullRecord
    // Throws for a source that nobody can read; the model is then taken for one put there by hand.
    if (isHubRef(record.source)) parseHubRef(record.source)
    return record.format === 1 ? record : null
  } catch {
    return null
  }
}

/** Everything in the models folder, by name. An absent folder is an empty one. */
export async function listStored(around: Surroundings): Promise<StoreContents> {
  const entries = await readdir(modelsDir(around)).catch(() => [])
  const names = entries.sort().slice(0, limits.discoveryEntries)
  const models: StoredModel[] = []
  const partial: PartialModel[] = []
  for (const entry of names) {
    if (entry.endsWith('.gguf')) {
      const model = await findStored(around, entry.slice(0, -'.gguf'.length), 'gguf')
      if (model !== null) models.push(model)
    } else if (entry.endsWith('.gguf.partial')) {
      const name = entry.slice(0, -'.gguf.partial'.length)
      const record = await readPartial(storePaths(around, name).partial)
      partial.push({
        name,
        kind: 'gguf',
        receivedBytes: record?.syncedBytes ?? 0,
        totalBytes: record?.totalBytes ?? null,
        source: record?.source ?? 'unknown',
      })
    } else if (entry.endsWith('.partial')) {
      const half = await partialFolder(around, entry.slice(0, -'.partial'.length))
      if (half !== null) partial.push(half)
    } else {
      const model = await findStored(around, entry, 'mlx')
      if (model !== null) models.push(model)
    }
  }
  return { models, partial }
}

/**
 * Puts verified weights into their place: the record, then the rename, then the folder's sync.
 * Until the rename there is no `NAME.gguf`. Throws PREFIXD_E_MODEL_FILE when they are no model.
 */
export async function installModel(
  around: Surroundings,
  name: string,
  downloaded: Downloaded,
  source: string,
): Promise<void> {
  await checkModelFile(downloaded.path)
  const paths = storePaths(around, name)
  const { sizeBytes } = downloaded
  const record: PullRecord = { format: 1, source, sizeBytes, pulledAtMs: Date.now() }
  await syncFile(downloaded.path)
  await writeFile(`${paths.record}.new`, `${JSON.stringify(record, null, 2)}\n`, { flush: true })
  await rename(`${paths.record}.new`, paths.record)
  await rename(downloaded.path, paths.weights)
  await syncFile(dirname(paths.weights))
  await rememberDigest(around, paths.weights, downloaded.sha256)
}

/** A folder can be opened and synced like a file where that means anything. */
async function syncFile(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

export async function makeModelsDir(around: Surroundings): Promise<void> {
  const dir = modelsDir(around)
  try {
    await mkdir(dir, { recursive: true })
  } catch (error) {
    throw pullError(
      `The models folder ${dir} cannot be made (${(error as NodeJS.ErrnoException).code}).`,
      'Set PREFIXD_MODELS_DIR to a folder that you can write.',
      error,
    )
  }
}

/**
 * Removes a pulled model, or a half one, by its name, its `hf:` ref, or its path in the folder.
 * Refuses everything outside, and unless `force` says so what a service uses; throws
 * PREFIXD_E_MODEL_NOT_FOUND, PREFIXD_E_INVALID_VALUE and PREFIXD_E_IN_USE.
 */
export async function removeStored(
  around: Surroundings,
  spec: string,
  options: RemoveOptions,
): Promise<RemovedModel> {
  const { found, claim } = await claimStored(around, spec, options)
  try {
    return await removeFiles(around, found)
  } finally {
    claim.release()
  }
}

/** Throws what `removeStored` would throw now, so that nobody is asked in vain. */
export async function checkStored(
  around: Surroundings,
  spec: string,
  options: RemoveOptions,
): Promise<void> {
  const { claim } = await claimStored(around, spec, options)
  claim.release()
}

async function claimStored(around: Surroundings, spec: string, { force }: RemoveOptions) {
  const { models, partial } = await listStored(around)
  const name = storedNameOf(around, spec)
  const found = [...models, ...partial].find((model) => model.name === name)
  const isBoth = models.filter((model) => model.name === name).length > 1
  if (found === undefined) {
    const names = [...new Set([...models, ...partial].map((model) => model.name))]
    const close = closestNames(name, names)
    throw new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `No model "${spec}" was pulled.`, {
      field: 'model',
      next:
        close.length > 0
          ? `Did you mean ${close.join(' or ')}?`
          : 'See `prefixd models ls`; models of other programs are theirs to remove.',
    })
  }
  if (isBoth) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `"${name}" is a file and a folder in ${modelsDir(around)}.`,
      { field: 'model', next: `Remove or rename ${name}.gguf or ${name} there yourself.` },
    )
  }
  const { name: known } = found
  const paths = storePaths(around, known)
  const holder = await liveHolder(paths.lock)
  if (holder !== null) {
    throw pullError(
      `Process ${holder.pid} on ${holder.host} is pulling ${known} now.`,
      'Stop it, or wait until it is done.',
    )
  }
  return { found, claim: await claimThing(paths.inUse, whatOf(known), force) }
}

async function removeFiles(
  around: Surroundings,
  { name: known, kind }: Pick<StoredModel, 'name' | 'kind'>,
): Promise<RemovedModel> {
  const paths = storePaths(around, known)
  if (kind === 'mlx') {
    const freedBytes = await removeFolder(around, known)
    await rm(paths.lock, { force: true })
    return { name: known, path: paths.folder, freedBytes }
  }
  const sizes = await Promise.all([paths.weights, paths.partial].map(ownBytes))
  await rm(paths.weights, { force: true })
  await rm(paths.record, { force: true })
  await removePartial(paths.partial)
  await rm(paths.wheelDir, { recursive: true, force: true })
  await rm(paths.lock, { force: true })
  return { name: known, path: paths.weights, freedBytes: sizes.reduce((a, b) => a + b, 0) }
}

const whatOf = (name: string): string => `The model ${name}`

/**
 * For as long as a service has these weights: `removeStored` then refuses them. Null: they lie
 * elsewhere, and are not ours to remove. Throws PREFIXD_E_IN_USE while they are being removed.
 */
export async function useStored(
  around: Surroundings,
  path: string,
  directory: string,
): Promise<Use | null> {
  const store = modelsDir(around)
  const real = await realpath(store).catch(() => store)
  // By its own path, or through a link from elsewhere.
  const places = [path, await realpath(path).catch(() => path)]
  const place = places.find((each) => [store, real].includes(dirname(each)))
  if (place === undefined) return null
  const name = basename(place).replace(/\.gguf$/, '')
  return useThing(storePaths(around, name).inUse, whatOf(name), directory)
}

/** A link to a file elsewhere is removed as a link, and frees next to nothing. */
const ownBytes = (path: string): Promise<number> =>
  lstat(path).then(
    (stats) => (stats.isFile() ? stats.size : 0),
    () => 0,
  )

function storedNameOf(around: Surroundings, spec: string): string {
  if (isHubRef(spec)) return storeNameOf(parseHubRef(spec))
  if (!isAbsolute(spec) && !/[/\\]/.test(spec)) return spec.replace(/\.gguf$/i, '')
  const path = expandPath(spec, around.workingDir, around.home)
  if (dirname(path) === modelsDir(around)) return basename(path).replace(/\.gguf$/i, '')
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `${path} is not in the models folder ${modelsDir(around)}; only pulled models are removed.`,
    { field: 'model', next: 'Give a name of `prefixd models ls`, or remove the file yourself.' },
  )
}
