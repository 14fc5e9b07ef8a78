/** A deterministic engine without a model, to test and measure everything else. */
import { setImmediate } from 'node:timers/promises'
import { EngineError } from '../errors.ts'
import type {
  ComputeResult,
  EngineModel,
  EngineSequence,
  ModelDescription,
  TokenizeOptions,
  WorkerOptions,
} from '../types.ts'
import { fakeBoundaryBytes } from './boundary.ts'
import { render, templateText } from './chat.ts'
import { embedFake, fakeEmbeddingSize } from './embedding.ts'
import { mix, rowRecordBytes } from './kv.ts'
import { computeLogits } from './logits.ts'
import { createFakeMemory } from './memory.ts'
import { type FakeOptions, kindsOf, readFakeOptions, rowBytes } from './options.ts'
import { createFakeSampler } from './sampler.ts'
import { endToken, gapTokens, piece, tokenize } from './vocabulary.ts'

/** Throws EngineError for settings that are wrong, and when a fault of loading was ordered. */
export async function loadFakeModel(
  worker: WorkerOptions,
  progress: (fraction: number) => void,
  createClock: () => ComputeClock = createComputeClock,
): Promise<EngineModel> {
  const asked = readFakeOptions(worker.engine)
  const options = { ...asked, weightsSeed: (asked.weightsSeed ^ seedOf(worker.modelPath)) >>> 0 }
  progress(0)
  if (options.loadMs > 0) await new Promise((resolve) => setTimeout(resolve, options.loadMs))
  if (options.crashOnLoad) crash('while loading')
  if (options.failLoad) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_MODEL',
      `\`${worker.modelPath}\` is no model. Choose another one with --model.`,
    )
  }
  progress(1)
  return {
    info: describe(worker, options),
    render,
    tokenize: (text: string, how: TokenizeOptions) => tokenize(text, how),
    piece,
    isEnd: (token) => token === endToken,
    openSequence: () => createFakeSequence(worker, options, createClock()),
    embed: async (tokens) => embedFake(tokens, options.weightsSeed),
    close: async () => {},
  }
}

function describe(worker: WorkerOptions, options: FakeOptions): ModelDescription {
  return {
    fingerprint: {
      engine: 'fake',
      build: 'fake 1',
      stateFormat: 'fake-rows/1',
      architecture: 'fake',
      kvTypes: `rows of ${options.bytesPerToken}`,
      flashAttention: false,
      settings: { layout: options.layout, weightsSeed: String(options.weightsSeed) },
    },
    layout: {
      kinds: kindsOf(options),
      sliceable: options.layout === 'kv',
      refusal: null,
      kvBytesPerToken: rowBytes(options),
      kvFixedBytes: rowRecordBytes(0, rowBytes(options)),
      rowBytesPerToken: rowBytes(options),
      boundaryBytes: fakeBoundaryBytes(kindsOf(options)),
    },
    contextTokens: worker.contextTokens,
    trainedContextTokens: worker.contextTokens,
    vocabularySize: options.vocabularySize,
    parameterCount: 0,
    weightsBytes: 0,
    generates: true,
    embedding: options.embeddings ? { size: fakeEmbeddingSize, pooling: 'mean' } : null,
    sequences: worker.sequences,
    hasChatTemplate: true,
    chatTemplate: templateText,
    gap: gapTokens,
    device: 'no device: exact arithmetic',
  }
}

/** Each name has weights of its own; `fake`, and what has no name, those of the settings. */
function seedOf(name: string): number {
  if (name === '' || name === 'fake') return 0
  return Buffer.from(name).reduce((seed, byte) => mix(seed, byte), 1)
}

function createFakeSequence(
  worker: WorkerOptions,
  options: FakeOptions,
  clock: ComputeClock,
): EngineSequence {
  const memory = createFakeMemory(kindsOf(options), rowBytes(options))

  const logits = (): Float32Array => {
    const [low, high] = memory.digest()
    const digest = [mix(low, options.weightsSeed), mix(high, options.weightsSeed)] as const
    return computeLogits(options.vocabularySize, digest, memory.lastToken())
  }
  const reaches = (position: number, count: number): boolean =>
    position >= memory.tokenCount && position < memory.tokenCount + count

  return {
    get tokenCount() {
      return memory.tokenCount
    },
    importRecord(record, bytes) {
      if (options.failRestore) throw new Error('failRestore was ordered')
      memory.importRecord(record, bytes)
    },
    async compute(tokens): Promise<ComputeResult> {
      const end = memory.tokenCount + tokens.length
      if (end > worker.contextTokens) throw new Error('context is full')
      if (reaches(options.crashAtToken, tokens.length)) crash(`at token ${options.crashAtToken}`)
      if (reaches(options.failAtToken, tokens.length)) throw new Error('failAtToken was ordered')
      const rate = tokens.length === 1 ? 'decodeTokensPerSecond' : 'prefillTokensPerSecond'
      const hangs = reaches(options.hangAtToken, tokens.length)
      const ms = options[rate] === 0 ? 0 : (tokens.length / options[rate]) * 1000
      if ((await clock.run(hangs ? Number.POSITIVE_INFINITY : ms)) === 'aborted') return 'aborted'
      for (const token of tokens) memory.append(token)
      return 'ok'
    },
    recordBytes: memory.recordBytes,
    exportRecord: memory.exportRecord,
    createSampler: (request) => createFakeSampler(request, logits),
    logits,
    trim: memory.truncate,
    clear: () => memory.truncate(0),
    abort: clock.abort,
  }
}

/** Passes the time that a call takes, unless it is aborted. The event loop turns in any case. */
export interface ComputeClock {
  run(ms: number): Promise<ComputeResult>
  abort(): void
}

function createComputeClock(): ComputeClock {
  let wake: ((result: ComputeResult) => void) | null = null
  let aborted = false
  return {
    async run(ms) {
      aborted = false
      await setImmediate()
      if (aborted) return 'aborted'
      if (ms === 0) return 'ok'
      const { promise, resolve } = Promise.withResolvers<ComputeResult>()
      wake = resolve
      const timer = Number.isFinite(ms) ? setTimeout(() => resolve('ok'), ms) : undefined
      const result = await promise
      clearTimeout(timer)
      wake = null
      return result
    },
    abort() {
      aborted = true
      wake?.('aborted')
    },
  }
}

function crash(when: string): never {
  process.stderr.write(`fake engine: a crash was ordered ${when}\n`)
  process.kill(process.pid, 'SIGKILL')
  throw new Error('unreachable')
}
