/**
 * The composition root: the only file that sees everything. Configuration in, a running service
 * out; read it from top to bottom.
 */
import { readFileSync } from 'node:fs'
import { type OpenCache, openCache } from '../cache/index.ts'
import {
  type Engine,
  type EngineOptions,
  type MlxRuntime,
  startEngine,
  startMlxEngine,
  type WorkerOptions,
} from '../engines/index.ts'
import { type KeyFile, openKeyFile } from './api/auth/key-file.ts'
import { readServerSecret } from './api/auth/server-secret.ts'
import { createServer } from './api/server.ts'
import type { RunningService, ServiceIo } from './cli/service.ts'
import { engineSettings } from './config/engine-settings.ts'
import { limits } from './config/limits.ts'
import { machineMemory } from './config/machine-memory.ts'
import { currentSurroundings } from './config/paths.ts'
import type { Config } from './config/schema.ts'
import { mlxRuntime } from './environment/index.ts'
import { PrefixdError } from './errors.ts'
import {
  engineRoom,
  kindOfEngine,
  type ResolvedModel,
  resolveModel,
  weightsDigest,
} from './models/index.ts'
import { createLog, type Log } from './observe/log.ts'
import { createService } from './pipeline/service.ts'

export { probeSharedMemory } from '../cache/index.ts'

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

interface ServedWeights {
  readonly id: string
  readonly aliases: readonly string[]
  readonly digest: string
}

/** Null: the fake engine computes without weights; its own version stands in its fingerprint. */
async function findModel({ engine, model }: Config): Promise<ResolvedModel | null> {
  const kind = kindOfEngine(engine)
  return kind === null ? null : resolveModel(model, { pull: false, kind })
}

/** Reads the whole file, unless its digest is known already. */
async function weightsOf(config: Config, model: ResolvedModel | null): Promise<ServedWeights> {
  const aliases = [config.model]
  if (model === null) return { id: 'fake', aliases, digest: '' }
  return { id: model.id, aliases, digest: model.digest ?? (await weightsDigest(model.path)) }
}

const openStorage = (config: Config, log: Log): Promise<OpenCache> =>
  openCache({
    directory: config.dir,
    ramBytes: config.ramBytes,
    ssdBytes: config.ssdBytes,
    blockTokens: config.blockTokens,
    reuse: config.reuse,
    boundaryTokens: config.boundaryTokens,
    boundaryShare: limits.boundaryShare,
    restoreWindowBytes: limits.restoreWindowBytes,
    reserveWaitMs: limits.reserveWaitMs,
    ssdWritesInFlight: limits.ssdWritesInFlight,
    ssdReadsInFlight: limits.ssdReadsInFlight,
    slabStepBytes: limits.slabStepBytes,
    freeDiskFloorBytes: limits.freeDiskFloorBytes,
    now: () => Date.now(),
    warn: (message, error) => log.warn(message, error),
  })

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

type StartEngine = (options: EngineOptions) => Engine

/** Finds what the engine needs on this machine; a missing part stops the start here. */
async function findEngine({ engine }: Config, log: Log): Promise<StartEngine> {
  if (engine !== 'mlx') return (options) => startEngine(engine, options)
  const runtime: MlxRuntime = await mlxRuntime(currentSurroundings())
  log.debug(`mlx runs on ${runtime.python} with ${runtime.blas?.name ?? 'its own BLAS'}`)
  return (options) => startMlxEngine(runtime, options)
}

const engineOptions = (
  config: Config,
  worker: Pick<WorkerOptions, 'modelPath' | 'contextTokens' | 'sequences' | 'engine'>,
  arena: Arena,
  log: Log,
): EngineOptions => ({
  worker: {
    ...worker,
    threads: config.threads,
    blockTokens: config.blockTokens,
    reuse: config.reuse,
  },
  arena: arena.fd === null ? null : { fd: arena.fd, sizeBytes: arena.sizeBytes },
  view: arena,
  limits: { ...limits, queuedRequests: config.queuedRequests },
  log: (line) => log.debug(`worker: ${line}`),
})

/** Resolves when the model is loaded and the service listens; rejects with a typed error. */
export async function serve(config: Config, io: ServiceIo): Promise<RunningService> {
  const log = createLog(config.logLevel, (line) => io.log(line))
  const settings = engineSettings(config)
  const start = await findEngine(config, log)
  const model = await findModel(config)
  const room = await engineRoom(config, model, machineMemory())
  for (const notice of room.notices) log.warn(notice)
  if (room.why !== null) log.debug(room.why)
  const weights = await weightsOf(config, model)
  const { cache, arena, close: closeStorage } = await openStorage(config, log)
  let keys: KeyFile | null
  try {
    keys = openKeys(config, log)
  } catch (error) {
    await closeStorage()
    throw error
  }
  // Begins before the model is loaded, so that the first restore finds memory that was touched.
  const warming = new AbortController()
  arena.warmUp(warming.signal).catch((error) => log.warn('the RAM tier stays cold', error))
  const { contextTokens, sequences } = room
  const worker = { modelPath: model?.path ?? '', contextTokens, sequences, engine: settings }
  const engine = start(engineOptions(config, worker, arena, log))
  const service = createService({
    version: readVersion(),
    directory: config.dir,
    reuse: config.reuse,
    save: config.save,
    maxAnswerTokens: config.maxAnswerTokens === 0 ? null : config.maxAnswerTokens,
    model: { ...weights, weightsDigest: weights.digest, engineName: config.engine },
    engine,
    engineBytes: room.engineBytes,
    cache,
    warn: (message, error) => log.warn(message, error),
    onDone: (request, receipt, error) => {
      const route = request.prompt.kind === 'chat' ? 'chat' : 'completions'
      const failure = error === null ? {} : { error: error.message }
      io.requestDone({ route, model: request.model, receipt, ...failure })
    },
  })
  const server = createServer(service, {
    host: config.host,
    hygiene: config.hygiene,
    reasoningField: config.reasoningField,
    ...(keys === null ? {} : { keys }),
  })
  server.addHook('onResponse', async ({ method, url }, { statusCode, elapsedTime }) => {
    log.debug(`${method} ${url} ${statusCode} in ${elapsedTime.toFixed(1)} ms`)
  })

  const close = async (): Promise<void> => {
    warming.abort()
    keys?.close()
    // New requests are refused first, then the running ones end, then what they saved is written.
    await Promise.allSettled([server.close(), engine.close(limits.drainMs)])
    await closeStorage()
  }

  try {
    const url = await listen(server, config)
    const warnings = contextWarnings(config, await engine.ready())
    return { url, apiKey: keys?.ownKey ?? null, warnings, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Whoever asks for a context relies on it: a shorter one must be seen. */
function contextWarnings(
  { engine, contextTokens: asked, ropeScaling }: Config,
  info: Awaited<ReturnType<Engine['ready']>>,
): string[] {
  const { contextTokens } = info
  if (asked === 'auto' || contextTokens >= asked) return []
  const grouped = (count: number): string => count.toLocaleString('en-US')
  const beyond = engine === 'llamacpp' && ropeScaling === 'none' && info.generates
  return [
    `the context is ${grouped(contextTokens)} tokens instead of ${grouped(asked)}: the model was ` +
      `trained for no more${beyond ? '; --rope-scaling yarn goes beyond, if it has a rope' : ''}`,
  ]
}

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
