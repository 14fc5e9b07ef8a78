/**
 * A life of the fake engine's worker inside this process: the real calls, frames and loops of both
 * sides, with a wire instead of a socket. It dies when it is told to, in the middle of anything.
 */
import { createCalls } from '../../engines/calls.ts'
import type { Channel } from '../../engines/channel.ts'
import { EngineError } from '../../engines/errors.ts'
import { type ComputeClock, loadFakeModel } from '../../engines/fake/model.ts'
import {
  createFrameDecoder,
  encodeFrame,
  type FrameHeader,
  protocolFrameLimits,
} from '../../engines/frames.ts'
import { readToService, readToWorker } from '../../engines/messages.ts'
import type { LifeEvents } from '../../engines/supervisor.ts'
import type { EngineModel, EngineSequence, ModelInfo, WorkerOptions } from '../../engines/types.ts'
import { createWorkerCalls } from '../../engines/worker-calls.ts'
import type { WorkerEnd, WorkerLife } from '../../engines/worker-life.ts'
import type { VirtualClock } from './virtual-clock.ts'

export type WorkerClock = Pick<VirtualClock, 'nowMs' | 'after'>

export interface WorkerLifeOptions {
  readonly clock: WorkerClock
  readonly worker: WorkerOptions
  readonly memory: { view(offset: number, sizeBytes: number): Uint8Array }
  /** How long a frame, a call of the engine and a start take. */
  readonly frameMs: () => number
  readonly computeMs: () => number
  readonly loadMs: () => number
}

/** Of what is loaded here only the end token is one. */
const endTokensOf = (model: EngineModel): number[] =>
  Array.from({ length: model.info.vocabularySize }, (_, token) => token).filter(model.isEnd)

export function startLife(options: WorkerLifeOptions, events: LifeEvents): WorkerLife {
  const { clock } = options
  const ready = Promise.withResolvers<ModelInfo | null>()
  const ended = Promise.withResolvers<WorkerEnd>()
  const isAlive = { value: true }
  const toService = createWire(options, isAlive, (header, payload) => {
    const message = readToService(header)
    if ('id' in message) calls.receive(message, payload)
  })
  const toWorker = createWire(options, isAlive, (header, payload) =>
    worker?.handle(readToWorker(header), payload),
  )
  const calls = createCalls(toWorker, events.onCallsChange)
  let worker: ReturnType<typeof createWorkerCalls> | null = null

  const die = (error: EngineError, next: WorkerEnd['next']): void => {
    if (!isAlive.value) return
    isAlive.value = false
    const end: WorkerEnd = { error, next, why: error.message }
    events.onEnded()
    calls.failAll(error)
    ready.resolve(null)
    ended.resolve(end)
  }

  const load = async (): Promise<void> => {
    const loaded = await loadFakeModel(
      options.worker,
      () => {},
      () => computeClock(options),
    )
    const model = mortal(loaded, isAlive)
    worker = createWorkerCalls({
      model,
      options: options.worker,
      memory: options.memory,
      channel: toService,
    })
    ready.resolve({ ...model.info, endTokens: endTokensOf(model) })
  }
  clock.after(options.loadMs(), () => void (isAlive.value && load()))

  return {
    pid: 1,
    calls,
    ready: ready.promise,
    ended: ended.promise,
    kill: (error, next = 'soon') => die(error, next),
    shutDown: (error) => die(error, 'never'),
  }
}

export const diedOfFault = (): EngineError =>
  new EngineError('PREFIXD_E_ENGINE_DIED', 'The worker ended: the simulation killed it.')

/** Frames arrive whole, in their order, some time later; none to or from the dead. */
function createWire(
  { clock, frameMs }: WorkerLifeOptions,
  isAlive: { readonly value: boolean },
  onFrame: (header: FrameHeader, payload: Uint8Array) => void,
): Channel {
  const decoder = createFrameDecoder(protocolFrameLimits)
  let lastAtMs = 0
  return {
    async send(header, payload = []) {
      const bytes = Buffer.concat(encodeFrame(header, payload, protocolFrameLimits))
      lastAtMs = Math.max(lastAtMs, clock.nowMs + frameMs())
      clock.after(lastAtMs - clock.nowMs, () => {
        if (!isAlive.value) return
        for (const frame of decoder.push(bytes)) onFrame(frame.header, frame.payload)
      })
    },
    end: async () => {},
    destroy: () => {},
  }
}

function computeClock({ clock, computeMs }: WorkerLifeOptions): ComputeClock {
  let wake: ((result: 'ok' | 'aborted') => void) | null = null
  return {
    run: () =>
      new Promise((resolve) => {
        wake = resolve
        clock.after(computeMs(), () => resolve('ok'))
      }),
    abort: () => wake?.('aborted'),
  }
}

/** A dead process touches no byte: whoever tries is stopped, and heard by nobody. */
function mortal(model: EngineModel, isAlive: { readonly value: boolean }): EngineModel {
  const check = (): void => {
    if (!isAlive.value) throw new Error('this worker is dead')
  }
  return {
    ...model,
    openSequence() {
      const sequence = model.openSequence()
      const guarded: EngineSequence = {
        ...sequence,
        get tokenCount() {
          return sequence.tokenCount
        },
        importRecord(record, bytes) {
          check()
          sequence.importRecord(record, bytes)
        },
        async compute(tokens, wantLogits) {
          check()
          const result = await sequence.compute(tokens, wantLogits)
          check()
          return result
        },
        exportRecord(kind, from, to, into) {
          check()
          sequence.exportRecord(kind, from, to, into)
        },
      }
      return guarded
    },
  }
}
