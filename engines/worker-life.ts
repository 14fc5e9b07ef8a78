/** One process of a worker from its start to its end, with the calls that it owes answers to. */
import { type Calls, createCalls } from './calls.ts'
import { type Channel, createChannel } from './channel.ts'
import { EngineError } from './errors.ts'
import { protocolError, protocolVersion } from './frames.ts'
import { type EngineLimits, workerExitMs } from './limits.ts'
import { readToService, type ToService, type ToWorker } from './messages.ts'
import { checkModelInfo } from './model-info.ts'
import { startProcess, type WorkerCommand, type WorkerProcess } from './process.ts'
import type { ModelInfo, SharedArena, WorkerOptions } from './types.ts'

export interface WorkerLifeOptions {
  readonly command: WorkerCommand
  readonly worker: WorkerOptions
  readonly arena: SharedArena | null
  readonly limits: EngineLimits
  readonly log: (line: string) => void
  readonly onCallsChange: () => void
  /** The process has ended; open calls are rejected after this. */
  readonly onEnded: () => void
}

/**
 * When a worker that ended is started again. `soon`: by itself. `asked`: the same would happen
 * again, unless somebody has mended something; a request finds out. `repaired`: likewise, and to
 * look costs next to nothing. `never`.
 */
export type NextStart = 'soon' | 'asked' | 'repaired' | 'never'

export interface WorkerEnd {
  readonly error: EngineError
  readonly next: NextStart
  /** The error in one sentence, without the worker's own output. */
  readonly why: string
}

export interface WorkerLife {
  readonly pid: number | null
  readonly calls: Calls
  /** Null: the process ended before it was ready. */
  readonly ready: Promise<ModelInfo | null>
  /** Resolves when the process has ended and every open call has been rejected. */
  readonly ended: Promise<WorkerEnd>
  /** Ends the process at once; open calls are rejected with `error` when it has ended. */
  kill(error: EngineError, next?: NextStart): void
  /** Asks an idle worker to close its model; kills it when that takes too long. */
  shutDown(error: EngineError): void
}

export function startWorkerLife(options: WorkerLifeOptions): WorkerLife {
  const { limits, log } = options
  const child = startProcess(options.command, options.arena?.fd ?? null, log)
  const ready = Promise.withResolvers<ModelInfo | null>()
  let reason: WorkerEnd | null = null
  let exitTimer: NodeJS.Timeout | undefined

  const kill = (error: EngineError, next: NextStart = 'soon'): void => {
    reason ??= { error, next, why: error.message }
    child.kill()
  }

  const fail = (error: EngineError): void => {
    reason ??= { error, next: 'asked', why: error.message }
  }
  const becomeReady = (info: ModelInfo): void => {
    clearTimeout(readyTimer)
    ready.resolve(info)
  }
  const readyTimer = setTimeout(() => {
    const why = notReady(limits.workerReadyMs)
    reason ??= { error: failed(why, child.logTail()), next: 'asked', why }
    child.kill()
  }, limits.workerReadyMs)
  const silence = createSilence(limits.workerSilenceMs, () => {
    kill(silent(limits.workerSilenceMs))
  })

  const channel = createChannel(child.socket, limits, {
    onFrame(header, payload) {
      silence.heard()
      const message = readToService(header)
      if ('id' in message) calls.receive(message, payload)
      else follow(message, { options, channel, becomeReady, kill, fail })
    },
    onBroken: (error) => {
      kill(error instanceof EngineError ? error : protocolError('unreadable', error))
    },
    // The process may live on without its socket; it is of no use, and it holds the arena.
    onEnd: () => child.kill(),
  })
  const calls = createCalls(channel, (openCount) => {
    silence.watch(openCount > 0)
    options.onCallsChange()
  })

  const ended = child.ended.then((words) => {
    clearTimeout(readyTimer)
    clearTimeout(exitTimer)
    channel.destroy()
    const end = reason ?? died(words, child)
    options.onEnded()
    calls.failAll(end.error)
    silence.watch(false)
    ready.resolve(null)
    return end
  })

  return {
    pid: child.pid,
    calls,
    ready: ready.promise,
    ended,
    kill,
    shutDown(error) {
      fail(error)
      void channel.send({ type: 'shutdown' })
      exitTimer = setTimeout(() => kill(error), workerExitMs)
    },
  }
}

interface LifeSteps {
  readonly options: WorkerLifeOptions
  readonly channel: Channel
  becomeReady(info: ModelInfo): void
  /** The worker ends by itself, and for this reason. */
  fail(error: EngineError): void
  kill(error: EngineError, next?: NextStart): void
}

/** What a worker says of itself, from its greeting to `ready` or `failed`. */
function follow(message: Exclude<ToService, { id: number }>, steps: LifeSteps): void {
  switch (message.type) {
    case 'hello': {
      const { protocol } = message
      if (protocol === protocolVersion) void steps.channel.send(greeting(steps.options))
      else steps.kill(protocolError(`the worker speaks version ${protocol}`), 'never')
      return
    }
    case 'loading':
      steps.options.log(`loading: ${Math.floor(message.fraction * 100)} %`)
      return
    case 'ready':
      steps.becomeReady(checkModelInfo(message.info))
      return
    case 'failed':
      steps.fail(new EngineError(message.code, message.message))
  }
}

function greeting({ worker, arena }: WorkerLifeOptions): Extract<ToWorker, { type: 'hello' }> {
  const arenaBytes = arena?.sizeBytes ?? null
  return { type: 'hello', protocol: protocolVersion, options: worker, arenaBytes }
}

/** Expires when a worker that is watched says nothing for `silenceMs`. */
function createSilence(silenceMs: number, onSilence: () => void) {
  let timer: NodeJS.Timeout | null = null
  return {
    heard(): void {
      timer?.refresh()
    },
    watch(owed: boolean): void {
      if (owed) timer ??= setTimeout(onSilence, silenceMs)
      else {
        clearTimeout(timer ?? undefined)
        timer = null
      }
    },
  }
}

function died(words: string, { pid, logTail }: WorkerProcess): WorkerEnd {
  const why = `The worker ended (${words}).`
  if (pid === null) return { error: failed(why, logTail()), next: 'asked', why }
  const advice = `${why} What was stored is kept; send the request again.`
  const error = new EngineError('PREFIXD_E_ENGINE_DIED', withLastLines(advice, logTail()))
  return { error, next: 'soon', why }
}

const failed = (why: string, logTail: string): EngineError =>
  new EngineError('PREFIXD_E_ENGINE_FAILED', withLastLines(why, logTail))

const withLastLines = (sentence: string, logTail: string): string =>
  logTail === '' ? sentence : `${sentence} Its last lines:\n${logTail}`

function silent(silenceMs: number): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_TIMEOUT',
    `The worker owed an answer and said nothing for ${silenceMs} ms; it was killed and restarts. ` +
      'Send the request again, with a shorter prompt if this repeats.',
  )
}

const notReady = (readyMs: number): string =>
  `The worker was not ready within ${readyMs} ms. Check the disk that the model is on.`
