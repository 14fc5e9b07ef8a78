/**
 * What runs inside every worker process: frames on file descriptor 3 drive one `EngineModel`; the
 * service's arena, where there is one, is file descriptor 4.
 */
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { mapArena } from './arena-map.ts'
import { createChannel } from './channel.ts'
import { EngineError } from './errors.ts'
import { protocolError, protocolFrameLimits, protocolVersion } from './frames.ts'
import { readToWorker, type ToService, type ToWorker } from './messages.ts'
import type { EngineModel, WorkerOptions } from './types.ts'
import { createWorkerCalls, type WorkerCalls } from './worker-calls.ts'

/** Loads the model; `progress` takes fractions from 0 to 1. Throws an EngineError that is final. */
export type LoadModel = (
  options: WorkerOptions,
  progress: (fraction: number) => void,
) => Promise<EngineModel>

const controlFd = 3
const arenaFd = 4

/** Serves one model on fd 3 until the service says `shutdown` or goes away; call it once, last. */
export function runWorker(loadModel: LoadModel): void {
  // The service decides when to end: a Ctrl-C in its terminal must not cut a drain short.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  let calls: WorkerCalls | null = null
  let greeted = false

  const channel = createChannel(new Socket({ fd: controlFd }), protocolFrameLimits, {
    onFrame(header, payload) {
      const message = readToWorker(header)
      if (message.type === 'hello') {
        if (greeted) throw protocolError('a second `hello`')
        greeted = true
        void load(message)
      } else if (message.type === 'shutdown') {
        void shutDown()
      } else if (calls === null) {
        throw protocolError(`\`${message.type}\` before the model is ready`)
      } else {
        calls.handle(message, payload)
      }
    },
    onBroken: (error) => die(error.message),
    onEnd: () => die('the service has gone away'),
  })
  const send = (message: ToService): Promise<void> => channel.send(message)

  const load = async (hello: Extract<ToWorker, { type: 'hello' }>): Promise<void> => {
    const { options } = hello
    try {
      checkVersion(hello.protocol)
      const memory = hello.arenaBytes === null ? null : mapArena(arenaFd, hello.arenaBytes)
      const model = await loadModel(options, progressReporter(send))
      calls = createWorkerCalls({ model, options, memory, channel })
      await send({ type: 'ready', info: { ...model.info, endTokens: endTokensOf(model) } })
    } catch (error) {
      const code = error instanceof EngineError ? error.code : 'PREFIXD_E_ENGINE_MODEL'
      const message = error instanceof Error ? error.message : String(error)
      await send({ type: 'failed', code, message })
      await exit()
    }
  }

  const shutDown = async (): Promise<void> => {
    await calls?.close()
    await exit()
  }

  const exit = async (): Promise<void> => {
    await channel.end()
    process.exit(0)
  }

  void send({ type: 'hello', protocol: protocolVersion })
}

/** The service finds by them where messages end. */
function endTokensOf(model: EngineModel): number[] {
  if (!model.info.generates) return []
  const tokens = Array.from({ length: model.info.vocabularySize }, (_, token) => token)
  return tokens.filter((token) => model.isEnd(token))
}

function checkVersion(protocol: number): void {
  if (protocol === protocolVersion) return
  throw protocolError(`the service speaks version ${protocol}, this worker ${protocolVersion}`)
}

/** Passes on every whole per cent once. */
function progressReporter(send: (message: ToService) => Promise<void>) {
  let reportedPercent = -1
  return (fraction: number): void => {
    const percent = Math.floor(fraction * 100)
    if (percent <= reportedPercent) return
    reportedPercent = percent
    void send({ type: 'loading', fraction })
  }
}

// A computing thread must not outlive the service, and `process.exit` would wait for it.
function die(reason: string): void {
  writeSync(2, `prefixd worker ends: ${reason}\n`)
  process.kill(process.pid, 'SIGKILL')
}
