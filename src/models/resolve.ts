/** From what somebody wrote behind `--model` to a file or a folder. */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { closestNames } from '../config/closest-name.ts'
import { limits } from '../config/limits.ts'
import { currentSurroundings, expandPath, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { bringBackCommand } from './bring-back.ts'
import { type CatalogueModel, catalogue, defaultModelName, findInCatalogue } from './catalogue.ts'
import { knownDigest } from './digest.ts'
import { type DiscoveredModel, type DiscoveryOrigin, discoverModels } from './discover.ts'
import { checkModelFile, modelIdOf, weightFiles } from './gguf.ts'
import { formatHubRef, type HubPlace, isHubRef, parseHubRef, storeNameOf } from './hub-ref.ts'
import { mlxIdOf, readMlxFolder } from './mlx-folder.ts'
import { convertedName, type ModelKind, wrongKind } from './model-kind.ts'
import { pullModel } from './pull.ts'
import type { PullOptions } from './pull-types.ts'
import { findStored, listStored } from './store.ts'
import type { StoredModel } from './store-paths.ts'

export interface ResolveOptions extends PullOptions {
  /** May a model that is not on this disk be downloaded? */
  readonly pull: boolean
  /** What the engine serves. Absent: any; of two with one name the GGUF file. */
  readonly kind?: ModelKind
}

export interface ResolvedModel {
  /** Name of the model in the API. */
  readonly id: string
  readonly kind: ModelKind
  /** Of the file, of the first part of a split model, or of the folder. */
  readonly path: string
  /** Of all parts, for a split model, and of all files of a folder. */
  readonly sizeBytes: number
  /** sha256, where it is known without reading the weights; else ask `weightsDigest`. */
  readonly digest: string | null
  readonly origin: 'store' | 'path' | DiscoveryOrigin
  /** The command that brings it back when it has gone; null where there is none. */
  readonly bringBack: string | null
}

/**
 * Finds a name of the catalogue or of the store, a path, an `hf:` ref, or a name that Ollama, LM
 * Studio or the hub's cache know (`ollama:`, `lmstudio:`, `hub:` in front choose one of them), and
 * checks the beginning of the file, or the names in the folder. For an engine that serves folders a
 * name also finds what was converted under it. Throws PREFIXD_E_MODEL_NOT_FOUND with what is close,
 * PREFIXD_E_MODEL_KIND for a model of another engine, PREFIXD_E_MODEL_FILE for a broken one,
 * PREFIXD_E_INVALID_VALUE, and what `pullModel` throws.
 */
export async function resolveModel(spec: string, options: ResolveOptions): Promise<ResolvedModel> {
  const around = options.around ?? currentSurroundings()
  const found = await find(spec, options, around)
  const { kind = found.kind } = options
  if (found.kind !== kind) throw wrongKind(spec, found.kind)
  return found
}

async function find(
  spec: string,
  options: ResolveOptions,
  around: Surroundings,
): Promise<ResolvedModel> {
  if (isHubRef(spec)) return resolveHubRef(parseHubRef(spec), options, around)
  if (/^(\.{0,2}|~)[/\\]/.test(spec) || /^[a-z]:[/\\]/i.test(spec)) {
    return fromPath(expandPath(spec, around.workingDir, around.home), spec, around)
  }
  const known = findInCatalogue(spec)
  const stored = await storedAs(spec, known, options, around)
  if (stored !== null) return fromStore(stored, around)

  const discovered = await discoverModels(around)
  if (known !== undefined) {
    const twin = discovered.find(({ digest }) => digest !== null && digest === known.sha256)
    if (twin !== undefined) return fromDiscovery(twin, around, known.name)
    // Nobody needs to download what this engine cannot load.
    if (options.kind === 'mlx') throw wrongKind(known.name, 'gguf')
    if (options.pull) return fromStore(await pullModel(known.name, options), around)
    throw notPulled(spec, known.name)
  }
  const matches = matching(spec, discovered, options.kind)
  if (matches.length > 1) throw ambiguous(spec, matches.map(qualifiedName))
  if (matches[0] !== undefined) return fromDiscovery(matches[0], around)
  const path = expandPath(spec, around.workingDir, around.home)
  if (/\.gguf$/i.test(spec) || (/[/\\]/.test(spec) && (await exists(path)))) {
    return fromPath(path, spec, around)
  }
  throw await unknown(spec, discovered, around)
}

/** Of the kind that is wanted; else one of the other kind, which is worth a word. */
async function storedAs(
  spec: string,
  known: CatalogueModel | undefined,
  { kind }: ResolveOptions,
  around: Surroundings,
): Promise<StoredModel | null> {
  const name = known?.name ?? spec.replace(/\.gguf$/i, '')
  const named = await findStored(around, name, kind ?? null)
  if (named !== null) return wholeOrRefused(named, known)
  const converted = kind === 'mlx' ? await findStored(around, convertedName(name), kind) : null
  if (converted !== null) return converted
  const pulled = known === undefined ? await pulledAs(spec, kind ?? null, around) : null
  if (pulled !== null) return pulled
  return kind === undefined ? null : findStored(around, name)
}

/** Weights that were cut may still begin well; the pinned size tells. */
function wholeOrRefused(stored: StoredModel, known: CatalogueModel | undefined): StoredModel {
  const isPinned = known !== undefined && known.sha256 !== null && stored.kind === 'gguf'
  if (!isPinned || stored.sizeBytes === known.sizeBytes) return stored
  throw new PrefixdError(
    'PREFIXD_E_MODEL_FILE',
    `${stored.path} has ${stored.sizeBytes} bytes, but ${known.name} has ${known.sizeBytes}.`,
    { field: 'model', next: `Repair it: \`prefixd models pull ${known.name}\`.` },
  )
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

async function resolveHubRef(
  place: HubPlace,
  options: ResolveOptions,
  around: Surroundings,
): Promise<ResolvedModel> {
  const name = formatHubRef(place)
  const kind = kindOf(place)
  if (options.kind !== undefined && options.kind !== kind) throw wrongKind(name, kind)
  const stored = await findStored(around, storeNameOf(place), kind)
  if (stored !== null) return fromStore(stored, around)
  const file = place.file === undefined ? [] : [place.file.replace(/\.gguf$/i, '')]
  const fullName = [place.owner, place.repo, ...file].join('/')
  const cached = (await discoverModels(around)).find(
    (model) =>
      model.origin === 'hub' &&
      model.kind === kind &&
      (place.revision === 'main'
        ? model.fullName === fullName
        : model.revision === place.revision && model.fullName.split('@')[0] === fullName),
  )
  if (cached !== undefined) return fromDiscovery(cached, around, idOfPlace(place))
  if (!options.pull) throw notPulled(name, name)
  return fromStore(await pullModel(name, options), around)
}

const kindOf = ({ file }: HubPlace): ModelKind => (file === undefined ? 'mlx' : 'gguf')

const idOfPlace = ({ file, repo }: HubPlace): string =>
  file === undefined ? repo : modelIdOf(file)

/** What was pulled by its ref is called as its file or repository is, not as the store names it. */
const idOf = ({ name, source }: StoredModel): string =>
  isHubRef(source) && findInCatalogue(name) === undefined ? idOfPlace(parseHubRef(source)) : name

/** A model that was pulled by its ref and is asked for by its id; null when there is none. */
async function pulledAs(
  id: string,
  kind: ModelKind | null,
  around: Surroundings,
): Promise<StoredModel | null> {
  const { models } = await listStored(around)
  const named = models.filter((model) => idOf(model).toLowerCase() === id.toLowerCase())
  const wanted = named.filter((model) => kind === null || model.kind === kind)
  const found = wanted.length > 0 ? wanted : named
  if (found.length <= 1) return found[0] ?? null
  throw ambiguous(
    id,
    found.map(({ name }) => name),
  )
}

async function fromStore(stored: StoredModel, around: Surroundings): Promise<ResolvedModel> {
  const { kind, path, sizeBytes } = stored
  const digest = await knownDigest(around, path)
  const bringBack = bringBackCommand(stored)
  return { id: idOf(stored), kind, path, sizeBytes, digest, origin: 'store', bringBack }
}

async function fromDiscovery(
  model: DiscoveredModel,
  around: Surroundings,
  id = model.name,
): Promise<ResolvedModel> {
  const { path, origin, kind } = model
  if (kind === 'mlx') return fromFolder(path, { id, origin }, around)
  return measured({ id, kind, path, digest: model.digest, origin })
}

async function fromFolder(
  path: string,
  named: Pick<ResolvedModel, 'id' | 'origin'>,
  around: Surroundings,
): Promise<ResolvedModel> {
  const { sizeBytes } = await readMlxFolder(path)
  const digest = await knownDigest(around, path)
  return { ...named, kind: 'mlx', path, sizeBytes, digest, bringBack: null }
}

async function fromPath(path: string, spec: string, around: Surroundings): Promise<ResolvedModel> {
  if (!(await exists(path))) {
    throw new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `There is no model file ${path}.`, {
      field: 'model',
      next: `Check the path (${spec}), or choose a name of \`prefixd models ls\`.`,
    })
  }
  if ((await stat(path)).isDirectory()) {
    const folder = resolve(path)
    return fromFolder(folder, { id: mlxIdOf(folder), origin: 'path' }, around)
  }
  const isSplit = weightFiles(path).length > 1
  const digest = isSplit ? null : await knownDigest(around, path)
  return measured({ id: modelIdOf(path), kind: 'gguf', path, digest, origin: 'path' })
}

/** Checks every part; a split model lacks its digest until all of them were read. */
async function measured(
  model: Omit<ResolvedModel, 'sizeBytes' | 'bringBack'>,
): Promise<ResolvedModel> {
  let sizeBytes = 0
  const files = weightFiles(model.path)
  for (const file of files) sizeBytes += await checkModelFile(file)
  const digest = files.length > 1 ? null : model.digest
  return { ...model, sizeBytes, digest, bringBack: null }
}

/** Exact full names first; then names, and Ollama's without their tag. */
function matching(
  spec: string,
  models: readonly DiscoveredModel[],
  kind: ModelKind | undefined,
): readonly DiscoveredModel[] {
  const qualified = /^(ollama|lmstudio|hub):(.+)$/i.exec(spec)
  const origin = qualified?.[1]?.toLowerCase()
  const wanted = (qualified?.[2] ?? spec).toLowerCase().replace(/\.gguf$/, '')
  const candidates = models.filter((model) => origin === undefined || model.origin === origin)
  const by = (test: (model: DiscoveredModel) => boolean) => {
    const named = candidates.filter(test)
    const wanted = named.filter((model) => kind === undefined || model.kind === kind)
    const found = wanted.length > 0 ? wanted : named
    // The same bytes twice are no question to ask.
    const [first] = found
    const same = found.every(({ digest }) => digest !== null && digest === first?.digest)
    return same ? found.slice(0, 1) : found
  }
  const steps = [
    ({ fullName }: DiscoveredModel) => fullName.toLowerCase() === wanted,
    ({ name }: DiscoveredModel) => name.toLowerCase() === wanted,
    ({ name }: DiscoveredModel) => name.toLowerCase() === `${wanted}:latest`,
    ({ name, origin }: DiscoveredModel) =>
      origin === 'ollama' && name.toLowerCase().startsWith(`${wanted}:`),
  ]
  return steps.map(by).find((found) => found.length > 0) ?? []
}

const qualifiedName = ({ origin, fullName }: DiscoveredModel): string => `${origin}:${fullName}`

function ambiguous(spec: string, names: readonly string[]): PrefixdError {
  return new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `"${spec}" can be ${names.length} models.`, {
    field: 'model',
    next: `Say which: ${names.slice(0, limits.listedNames).join(', ')}.`,
  })
}

const notPulled = (spec: string, name: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `The model ${spec} is not on this disk yet.`, {
    field: 'model',
    next: `Run \`prefixd models pull ${name}\`.`,
  })

const notConverted = (spec: string, source: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `The model ${spec} has not been made yet.`, {
    field: 'model',
    next: `Make it of ${source}: \`prefixd models convert ${source} --to mlx\`.`,
  })

async function unknown(
  spec: string,
  discovered: readonly DiscoveredModel[],
  around: Surroundings,
): Promise<PrefixdError> {
  const { models } = await listStored(around)
  const names = [...catalogue, ...models, ...discovered].map(({ name }) => name)
  const close = closestNames(spec, names, limits.listedNames)
  const gguf = [...models, ...discovered].filter(({ kind }) => kind === 'gguf')
  const source = [...catalogue, ...gguf].find(
    ({ name }) => convertedName(name).toLowerCase() === spec.toLowerCase(),
  )
  if (source !== undefined) return notConverted(spec, source.name)
  return new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `There is no model "${spec}".`, {
    field: 'model',
    next:
      (close.length > 0 ? `Did you mean ${close.join(' or ')}? ` : `Try ${defaultModelName}. `) +
      '`prefixd models ls` shows every name; a path, hf:owner/repo/file.gguf or, for MLX, ' +
      'hf:owner/repo works too.',
  })
}
