/**
 * The composition root: the only file that sees everything. Configuration in, a running service
 * out; read it from top to bottom.
 */
import { readFileSync } from 'node:fs'
import type { Namespace, OpenCache } from '../cache/index.ts'
import {
  type Engine,
  type EngineOptions,
  type ModelInfo,
  startEngine,
  startMlxEngine,
  type WorkerOptions,
} from '../engines/index.ts'
import { type KeyFile, openKeyFile } from './api/auth/key-file.ts'
import { readServerSecret } from './api/auth/server-secret.ts'
import { requestLog } from './api/request-log.ts'
import { createServer } from './api/server.ts'
import type { RunningService, ServiceIo } from './cli/service.ts'
import { engineSettings } from './config/engine-settings.ts'
import { limits } from './config/limits.ts'
import { machineMemory } from './config/machine-memory.ts'
import { currentSurroundings } from './config/paths.ts'
import type { Config, EngineName } from './config/schema.ts'
import { readShare } from './config/shares.ts'
import { type MlxComputer, mlxEnvironment, mlxRuntime, useMlx } from './environment/index.ts'
import { PrefixdError } from './errors.ts'
import {
  engineRooms,
  findModels,
  type NamedModel,
  type ResolvedModel,
  refuseTwins,
  type Use,
  useModel,
  weightsDigest,
} from './models/index.ts'
import { createLog, type Log } from './observe/log.ts'
import { createTraceRecorder, type TraceRecorder } from './observe/trace-recorder.ts'
import { readNote } from './pipeline/namespace-note.ts'
import { createService } from './pipeline/service.ts'
import { openStorage } from './storage.ts'

export { probeSharedMemory } from '../cache/index.ts'
export { verifyOffline } from './offline.ts'

/** The packed package keeps package.json one folder further up than the source tree does. */
function readVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const text = readFileSync(new URL(place, import.meta.url), 'utf8')
      return (JSON.parse(text) as { version: string }).version
    } catch {}
  }
  return 'unknown'
}

type Arena = OpenCache['arena']

/** Null: no keys are in use. */
function openKeys({ apiKeysFile, dir }: Config, log: Log): KeyFile | null {
  if (apiKeysFile === null) return null
  return openKeyFile({
    path: apiKeysFile,
    secret: readServerSecret(dir),
    pollMs: limits.apiKeysPollMs,
    onReloaded: (count) => log.info(`the file of API keys has changed; ${count} keys are known`),
    onRefused: (error) => log.warn('the API keys from before stay', error),
  })
}

/** Null: nothing is recorded. */
const openRecorder = ({ recordFile }: Config, log: Log): TraceRecorder | null =>
  recordFile === null
    ? null
    : createTraceRecorder({
        path: recordFile,
        now: () => Date.now(),
        warn: (message, error) => log.warn(message, error),
      })

type StartEngine = (options: EngineOptions) => Engine

interface FoundEngine {
  readonly start: StartEngine
  /** Null: it is another engine. */
  readonly mlx: MlxComputer | null
}

/** Finds what the engine needs on this machine; a missing part stops the start here. */
async function findEngine(engine: EngineName, log: Log): Promise<FoundEngine> {
  if (engine !== 'mlx') return { start: (options) => startEngine(engine, options), mlx: null }
  const mlx = await mlxRuntime(currentSurroundings())
  log.debug(`mlx runs on ${mlx.python} with ${mlx.blas?.name ?? 'its own BLAS'}`)
  return { start: (options) => startMlxEngine(mlx, options), mlx }
}

/** A model with all that its worker needs; nothing is loaded yet. */
interface PlannedModel {
  readonly id: string
  readonly aliases: readonly string[]
  /** Empty: the engine computes without weights; its own version stands in its fingerprint. */
  readonly weightsDigest: string
  readonly engineName: EngineName
  readonly engineBytes: number | null
  /** See `missingPart`. */
  readonly missing: () => Promise<string | null>
  readonly start: StartEngine
  readonly worker: Pick<WorkerOptions, 'modelPath' | 'contextTokens' | 'sequences' | 'engine'>
}

/**
 * Reads the models' headers, and all of the weights unless their digest is known already. From then
 * on nobody deletes them, or their engine, until `uses` are released.
 */
async function planModels(config: Config, log: Log, uses: Use[]): Promise<PlannedModel[]> {
  const found = []
  const engines = new Map<EngineName, FoundEngine>()
  for (const model of await findModels(config, { pull: false })) {
    const use = model.weights && (await useModel(model.weights.path, config.dir))
    if (use !== null) uses.push(use)
    if (model.engine === 'mlx') uses.push(await useMlx(currentSurroundings(), config.dir))
    const settings = engineSettings(config, model.engine)
    const engine = engines.get(model.engine) ?? (await findEngine(model.engine, log))
    engines.set(model.engine, engine)
    found.push({ ...model, ...engine, settings })
  }
  const { placed, notices, whys } = await engineRooms(config, found, machineMemory())
  for (const notice of notices) log.warn(notice)
  for (const why of whys) log.debug(why)
  const planned: PlannedModel[] = []
  for (const { model, room } of placed) {
    const { id, aliases, engine: engineName, weights, settings, start } = model
    const { contextTokens, sequences, engineBytes } = room
    const weightsDigest = weights === null ? '' : await digestOf(weights)
    // Models without weights are told from each other by their names.
    const modelPath = weights?.path ?? id
    const worker = { modelPath, contextTokens, sequences, engine: settings }
    const missing = () => missingPart(model, weightsDigest, log)
    planned.push({ id, aliases, weightsDigest, engineName, engineBytes, missing, start, worker })
  }
  refuseTwins(planned)
  return planned
}

/**
 * What a worker needs to start again and does not find, as sentences for clients: without paths,
 * which the log has. What is stored would not fit other weights, so those are not taken.
 */
async function missingPart(
  { id, engine, weights }: NamedModel,
  knownDigest: string,
  log: Log,
): Promise<string | null> {
  if (engine === 'mlx' && mlxEnvironment(currentSurroundings()).state !== 'ready') {
    return 'The MLX engine is not installed any more: `prefixd engines install mlx` brings it back.'
  }
  if (weights === null) return null
  try {
    if ((await weightsDigest(weights.path)) === knownDigest) return null
    return `The weights of ${id} are others than the service began with: restart it to serve them.`
  } catch (error) {
    log.warn(`the weights of ${id} cannot be read`, error)
    const command = weights.bringBack === null ? '' : `, or \`${weights.bringBack}\``
    const gone = `The weights of ${id} are gone or cannot be read`
    return `${gone}: put them back where they were${command}.`
  }
}

const digestOf = async ({ digest, path }: ResolvedModel): Promise<string> =>
  digest ?? weightsDigest(path)

/** Returns at once; the worker loads its model meanwhile. */
const startWorker = (
  config: Config,
  { id, worker, missing, start }: PlannedModel,
  arena: Arena,
  log: Log,
): Engine =>
  start({
    worker: {
      ...worker,
      threads: config.threads,
      blockTokens: config.blockTokens,
      reuse: config.reuse,
    },
    arena: arena.fd === null ? null : { fd: arena.fd, sizeBytes: arena.sizeBytes },
    view: arena,
    limits: { ...limits, queuedRequests: config.queuedRequests },
    missing,
    log: (line) => log.debug(`worker of ${id}: ${line}`),
  })

type StartedModel = PlannedModel & { readonly engine: Engine }

/** What the banner warns of. Rejects with the first model that cannot be served. */
async function allReady(
  models: readonly StartedModel[],
  config: Config,
  log: Log,
): Promise<string[]> {
  const warnings = models.map(async (model) => {
    try {
      return contextWarnings(config, model, await model.engine.ready(), models.length > 1)
    } catch (error) {
      if (models.length > 1) log.error(`${model.id} cannot be served`, error)
      throw error
    }
  })
  return (await Promise.all(warnings)).flat()
}

/** Whoever asks for a context relies on it: a shorter one must be seen. */
function contextWarnings(
  { contextTokens: asked, ropeScaling }: Config,
  { id, engineName }: PlannedModel,
  { contextTokens, generates }: ModelInfo,
  isNamed: boolean,
): string[] {
  if (asked === 'auto' || contextTokens >= asked) return []
  const grouped = (count: number): string => count.toLocaleString('en-US')
  const beyond = engineName === 'llamacpp' && ropeScaling === 'none' && generates
  return [
    `the context${isNamed ? ` of ${id}` : ''} is ${grouped(contextTokens)} tokens instead of ` +
      `${grouped(asked)}: the model was trained for no more` +
      (beyond ? '; --rope-scaling yarn goes beyond, if it has a rope' : ''),
  ]
}

/**
 * Touches the memory of the RAM tier and, where that is wanted, fills it with what these models
 * used last. Never rejects: a cold tier is slower, not wrong.
 */
async function warmRam(
  { arena, cache }: OpenCache,
  { prefetch }: Config,
  served: ReadonlySet<string>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const modelOf = (namespace: Namespace) => readNote(cache.notes.get(namespace))?.model ?? ''
  try {
    const { recordCount, sizeBytes } = await cache.refill({
      warmBytes: arena.warmUp(signal),
      share: prefetch ? limits.refillShare : 0,
      yieldMs: limits.refillYieldMs,
      isWanted: (namespace) => served.has(modelOf(namespace)),
    })
    log.debug(`the RAM tier is warm; ${recordCount} records (${sizeBytes} bytes) came from the SSD`)
  } catch (error) {
    log.warn('the RAM tier stays cold', error)
  }
}

/** Resolves when the models are loaded and the service listens; rejects with a typed error. */
export async function serve(config: Config, io: ServiceIo): Promise<RunningService> {
  const uses: Use[] = []
  const release = () => {
    for (const use of uses.splice(0)) use.release()
  }
  try {
    const { close, ...running } = await start(config, io, uses)
    return { ...running, close: () => close().finally(release) }
  } catch (error) {
    release()
    throw error
  }
}

async function start(config: Config, io: ServiceIo, uses: Use[]): Promise<RunningService> {
  const log = createLog(config.logLevel, (line) => io.log(line))
  const planned = await planModels(config, log, uses)
  const opened = await openStorage(config, log)
  const { cache, catalog, arena, close: closeStorage } = opened
  let keys: KeyFile | null
  try {
    keys = openKeys(config, log)
  } catch (error) {
    await closeStorage()
    throw error
  }
  // Begins before the models are loaded, so that the first restore finds memory that was touched.
  const warming = new AbortController()
  const warmed = warmRam(opened, config, new Set(planned.map(({ id }) => id)), log, warming.signal)
  const models = planned.map((model) => ({
    ...model,
    engine: startWorker(config, model, arena, log),
  }))
  const recorder = openRecorder(config, log)
  const service = createService({
    version: readVersion(),
    directory: config.dir,
    reuse: config.reuse,
    save: config.save,
    keepText: config.keepText,
    prefetch: config.prefetch,
    shares: config.shares.flatMap((share) => readShare(share) ?? []),
    maxAnswerTokens: config.maxAnswerTokens === 0 ? null : config.maxAnswerTokens,
    models,
    cache,
    catalog,
    warn: (message, error) => log.warn(message, error),
    record: recorder?.record ?? null,
    onDone: (request, receipt, error) => {
      const failure = error === null ? {} : { error: error.message }
      io.requestDone({ route: request.dialect, model: request.model, receipt, ...failure })
    },
  })
  const server = createServer(service, {
    host: config.host,
    hygiene: config.hygiene,
    reasoningField: config.reasoningField,
    logger: requestLog(log),
    ...(keys === null ? {} : { keys }),
  })
  server.addHook('onResponse', async ({ method, url }, { statusCode, elapsedTime }) => {
    log.debug(`${method} ${url} ${statusCode} in ${elapsedTime.toFixed(1)} ms`)
  })

  const close = async (): Promise<void> => {
    warming.abort()
    keys?.close()
    // New requests are refused first, then the running ones end, then what they saved is written.
    const workers = models.map(({ engine }) => engine.close(limits.drainMs))
    await Promise.allSettled([server.close(), ...workers, warmed])
    await recorder?.close()
    await closeStorage()
  }

  try {
    const url = await listen(server, config)
    const warnings = await allReady(models, config, log)
    await rehearse(server, models, keys?.ownKey ?? null)
    return { url, apiKey: keys?.ownKey ?? null, warnings, close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * The first request of a process waits for code that is compiled and for tables that are filled
 * when they are first used: 25 ms. Counting a prompt's tokens goes most of its way, and counts as
 * nothing. Whatever it is answered, the request of a client will be answered better.
 */
async function rehearse(
  server: ReturnType<typeof createServer>,
  models: readonly StartedModel[],
  key: string | null,
): Promise<void> {
  const headers = key === null ? {} : { authorization: `Bearer ${key}` }
  const text = 'What a first request waits for. '.repeat(rehearsedSentences)
  for (const { id } of models) {
    const payload = { model: id, messages: [{ role: 'user', content: text }] }
    const url = '/v1/messages/count_tokens'
    await server.inject({ method: 'POST', url, headers, payload })
  }
}

/** About as long as an agent's first prompt. */
const rehearsedSentences = 1000

async function listen(
  server: ReturnType<typeof createServer>,
  { host, port }: Config,
): Promise<string> {
  try {
    return await server.listen({ host, port })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') {
      throw new PrefixdError('PREFIXD_E_PORT_IN_USE', `Port ${port} on ${host} is taken.`, {
        field: '--port',
        next: 'Start with another --port, or with --port 0 for a free one.',
        cause: error,
      })
    }
    if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new PrefixdError('PREFIXD_E_CONFIG', `Cannot listen on ${host}:${port} (${code}).`, {
        field: '--host',
        next: 'Use an address of this machine and a port above 1023.',
        cause: error,
      })
    }
    throw error
  }
}
