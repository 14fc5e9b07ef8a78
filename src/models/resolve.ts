/** From what somebody wrote behind `--model` to a file. */
import { stat } from 'node:fs/promises'
import { closestNames } from '../config/closest-name.ts'
import { limits } from '../config/limits.ts'
import { currentSurroundings, expandPath, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { type CatalogueModel, catalogue, defaultModelName, findInCatalogue } from './catalogue.ts'
import { knownDigest } from './digest.ts'
import { type DiscoveredModel, type DiscoveryOrigin, discoverModels } from './discover.ts'
import { checkModelFile, modelIdOf, weightFiles } from './gguf.ts'
import { formatHubRef, type HubRef, isHubRef, parseHubRef, storeNameOf } from './hub-ref.ts'
import { type PullOptions, pullModel } from './pull.ts'
import { findStored, listStored, type StoredModel } from './store.ts'

export interface ResolveOptions extends PullOptions {
  /** May a model that is not on this disk be downloaded? */
  readonly pull: boolean
}

export interface ResolvedModel {
  /** Name of the model in the API. */
  readonly id: string
  readonly path: string
  /** Of all parts, for a split model. */
  readonly sizeBytes: number
  /** sha256, where it is known without reading the weights; else ask `weightsDigest`. */
  readonly digest: string | null
  readonly origin: 'store' | 'path' | DiscoveryOrigin
}

/**
 * Finds a name of the catalogue or of the store, a path, an `hf:` ref, or a name that Ollama, LM
 * Studio or the hub's cache know (`ollama:`, `lmstudio:`, `hub:` in front choose one of them), and
 * checks the beginning of the file. Throws PREFIXD_E_MODEL_NOT_FOUND with what is close,
 * PREFIXD_E_MODEL_FILE for a broken file, PREFIXD_E_INVALID_VALUE, and what `pullModel` throws.
 */
export async function resolveModel(spec: string, options: ResolveOptions): Promise<ResolvedModel> {
  const around = options.around ?? currentSurroundings()
  if (isHubRef(spec)) return resolveHubRef(parseHubRef(spec), options, around)
  if (/^(\.{0,2}|~)[/\\]/.test(spec) || /^[a-z]:[/\\]/i.test(spec)) {
    return fromPath(expandPath(spec, around.workingDir, around.home), spec, around)
  }
  const known = findInCatalogue(spec)
  const stored = await findStored(around, known?.name ?? spec.replace(/\.gguf$/i, ''))
  if (stored !== null) return fromStore(wholeOrRefused(stored, known), around)
  if (known === undefined) {
    const pulled = await pulledAs(spec, around)
    if (pulled !== null) return fromStore(pulled, around)
  }

  const discovered = await discoverModels(around)
  if (known !== undefined) {
    const twin = discovered.find(({ digest }) => digest !== null && digest === known.sha256)
    if (twin !== undefined) return fromDiscovery(twin, known.name)
    if (options.pull) return fromStore(await pullModel(known.name, options), around)
    throw notPulled(spec, known.name)
  }
  const matches = matching(spec, discovered)
  if (matches.length > 1) throw ambiguous(spec, matches.map(qualifiedName))
  if (matches[0] !== undefined) return fromDiscovery(matches[0])
  const path = expandPath(spec, around.workingDir, around.home)
  if (/\.gguf$/i.test(spec) || (/[/\\]/.test(spec) && (await exists(path)))) {
    return fromPath(path, spec, around)
  }
  throw await unknown(spec, discovered, around)
}

/** Weights that were cut may still begin well; the pinned size tells. */
function wholeOrRefused(stored: StoredModel, known: CatalogueModel | undefined): StoredModel {
  const isPinned = known !== undefined && known.sha256 !== null
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
  ref: HubRef,
  options: ResolveOptions,
  around: Surroundings,
): Promise<ResolvedModel> {
  const name = formatHubRef(ref)
  const stored = await findStored(around, storeNameOf(ref))
  if (stored !== null) return fromStore(stored, around)
  const fullName = `${ref.owner}/${ref.repo}/${ref.file.replace(/\.gguf$/i, '')}`
  const cached = (await discoverModels(around)).find(
    (model) =>
      model.origin === 'hub' &&
      (ref.revision === 'main'
        ? model.fullName === fullName
        : model.revision === ref.revision && model.fullName.split('@')[0] === fullName),
  )
  if (cached !== undefined) return fromDiscovery(cached, modelIdOf(ref.file))
  if (!options.pull) throw notPulled(name, name)
  return fromStore(await pullModel(name, options), around)
}

/** What was pulled by its ref is called as its file is, not as the store names it. */
const idOf = ({ name, source }: StoredModel): string =>
  isHubRef(source) && findInCatalogue(name) === undefined
    ? modelIdOf(parseHubRef(source).file)
    : name

/** A model that was pulled by its ref and is asked for by its id; null when there is none. */
async function pulledAs(id: string, around: Surroundings): Promise<StoredModel | null> {
  const { models } = await listStored(around)
  const found = models.filter((model) => idOf(model).toLowerCase() === id.toLowerCase())
  if (found.length <= 1) return found[0] ?? null
  throw ambiguous(
    id,
    found.map(({ name }) => name),
  )
}

async function fromStore(stored: StoredModel, around: Surroundings): Promise<ResolvedModel> {
  const { path, sizeBytes } = stored
  const digest = await knownDigest(around, path)
  return { id: idOf(stored), path, sizeBytes, digest, origin: 'store' }
}

function fromDiscovery(model: DiscoveredModel, id = model.name): Promise<ResolvedModel> {
  return measured({ id, path: model.path, digest: model.digest, origin: model.origin })
}

async function fromPath(path: string, spec: string, around: Surroundings): Promise<ResolvedModel> {
  if (!(await exists(path))) {
    throw new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `There is no model file ${path}.`, {
      field: 'model',
      next: `Check the path (${spec}), or choose a name of \`prefixd models ls\`.`,
    })
  }
  const isSplit = weightFiles(path).length > 1
  const digest = isSplit ? null : await knownDigest(around, path)
  return measured({ id: modelIdOf(path), path, digest, origin: 'path' })
}

/** Checks every part; a split model lacks its digest until all of them were read. */
async function measured(model: Omit<ResolvedModel, 'sizeBytes'>): Promise<ResolvedModel> {
  let sizeBytes = 0
  const files = weightFiles(model.path)
  for (const file of files) sizeBytes += await checkModelFile(file)
  return { ...model, sizeBytes, digest: files.length > 1 ? null : model.digest }
}

/** Exact full names first; then names, and Ollama's without their tag. */
function matching(spec: string, models: readonly DiscoveredModel[]): readonly DiscoveredModel[] {
  const qualified = /^(ollama|lmstudio|hub):(.+)$/i.exec(spec)
  const origin = qualified?.[1]?.toLowerCase()
  const wanted = (qualified?.[2] ?? spec).toLowerCase().replace(/\.gguf$/, '')
  const candidates = models.filter((model) => origin === undefined || model.origin === origin)
  const by = (test: (model: DiscoveredModel) => boolean) => {
    const found = candidates.filter(test)
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

async function unknown(
  spec: string,
  discovered: readonly DiscoveredModel[],
  around: Surroundings,
): Promise<PrefixdError> {
  const { models } = await listStored(around)
  const names = [...catalogue, ...models, ...discovered].map(({ name }) => name)
  const close = closestNames(spec, names, limits.listedNames)
  return new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `There is no model "${spec}".`, {
    field: 'model',
    next:
      (close.length > 0 ? `Did you mean ${close.join(' or ')}? ` : `Try ${defaultModelName}. `) +
      '`prefixd models ls` shows every name; a path or hf:owner/repo/file.gguf works too.',
  })
}
