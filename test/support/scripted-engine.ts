/** An engine whose answers are written down, and which notes every call that it gets. */
import type { RecordKind } from '../../cache/types.ts'
import type { ExportOutlet } from '../../engines/export-queue.ts'
import type { GenerateJob } from '../../engines/generate-loop.ts'
import { createTurns } from '../../engines/turns.ts'
import type {
  ComputeResult,
  EngineSequence,
  ExportedRecord,
  GenerateEvent,
  GenerateInput,
  ModelInfo,
  RecordBytes,
} from '../../engines/types.ts'

export const scriptedInfo: ModelInfo = {
  fingerprint: {
    engine: 'scripted',
    build: '1',
    stateFormat: '1',
    architecture: 'none',
    kvTypes: 'none',
    flashAttention: false,
    settings: {},
  },
  layout: {
    kinds: ['kv'],
    sliceable: true,
    refusal: null,
    kvBytesPerToken: 2,
    kvFixedBytes: 4,
    rowBytesPerToken: 2,
    boundaryBytes: 0,
  },
  contextTokens: 64,
  trainedContextTokens: 64,
  vocabularySize: 256,
  parameterCount: 0,
  weightsBytes: 0,
  generates: true,
  embedding: null,
  sequences: 1,
  hasChatTemplate: false,
  chatTemplate: null,
  gap: null,
  endTokens: [0],
  device: 'paper',
}

export interface Script {
  readonly prompt: readonly number[]
  /** Sampled one after the other; token 0 ends the answer. */
  readonly answer?: readonly number[]
  readonly input?: Partial<GenerateInput>
  readonly info?: Partial<ModelInfo>
  readonly blockTokens?: number
  readonly reuse?: 'token' | 'block'
  /** Called before each compute with the span that it computes. */
  readonly onCompute?: (from: number, to: number) => void
  readonly reserve?: ExportOutlet['reserve']
  /** Its memory cannot be cut: an aborted call empties the sequence. */
  readonly losesAborted?: boolean
}

export interface Scripted {
  readonly job: GenerateJob
  readonly abort: AbortController
  /** What happened, in order, e.g. `compute 0-4`, `reserve 0-4`, `export 0-4`. */
  readonly log: string[]
  readonly exported: ExportedRecord[]
  readonly abandoned: RecordBytes[]
  readonly events: Exclude<GenerateEvent, { type: 'done' }>[]
}

export function scriptEngine(script: Script): Scripted {
  const abort = new AbortController()
  const log: string[] = []
  const exported: ExportedRecord[] = []
  const abandoned: RecordBytes[] = []
  const events: Scripted['events'] = []
  const computeFrom = script.input?.computeFrom ?? 0
  const outlet: GenerateJob['outlet'] = {
    async emit(event) {
      events.push(event)
      log.push(event.type === 'token' ? `token ${event.token}` : `prefill ${event.processedTokens}`)
    },
    reserve(request) {
      log.push(`reserve ${request.from}-${request.to}`)
      const { sizeBytes } = request
      const granted = { offset: 0, sizeBytes, generation: 1 }
      return script.reserve?.(request) ?? Promise.resolve(granted)
    },
    memory: ({ sizeBytes }) => new Uint8Array(sizeBytes),
    async exported(record) {
      exported.push(record)
    },
    abandon: (bytes) => {
      abandoned.push(bytes)
      log.push('abandon')
    },
  }
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0 }
  const penalties = { repeatPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 }
  const job: GenerateJob = {
    model: {
      info: { ...scriptedInfo, ...script.info },
      piece: (token) => Uint8Array.of(token),
      isEnd: (token) => token === 0,
    },
    sequence: scriptSequence(script, computeFrom, log),
    turns: createTurns(),
    blockTokens: script.blockTokens ?? 4,
    reuse: script.reuse ?? 'token',
    input: {
      tokens: Uint32Array.from(script.prompt),
      computeFrom,
      restoredOnGrid: false,
      maxTokens: 3,
      sampling: { ...sampling, ...penalties },
      save: true,
      ...script.input,
    },
    outlet,
    signal: abort.signal,
  }
  return { job, abort, log, exported, abandoned, events }
}

function scriptSequence(script: Script, restored: number, log: string[]): EngineSequence {
  const answer = [...(script.answer ?? [65, 66, 67, 68, 69, 70, 71, 72, 73])]
  let tokenCount = restored
  let aborted = false
  const sizeOf = (from: number, to: number): number => 4 + 2 * (to - from)
  return {
    get tokenCount() {
      return tokenCount
    },
    async compute(tokens): Promise<ComputeResult> {
      const [from, to] = [tokenCount, tokenCount + tokens.length]
      log.push(`compute ${from}-${to}`)
      script.onCompute?.(from, to)
      // The event loop turns, as it does while a real engine computes.
      await new Promise((resolve) => setImmediate(resolve))
      if (aborted) {
        if (script.losesAborted === true) tokenCount = 0
        return 'aborted'
      }
      tokenCount = to
      return 'ok'
    },
    abort() {
      aborted = true
    },
    recordBytes: (_kind: RecordKind, from, to) => sizeOf(from, to),
    exportRecord: (kind, from, to) => {
      log.push(`export ${kind === 'kv' ? '' : `${kind} `}${from}-${to}`)
    },
    createSampler: () => ({ sample: () => answer.shift() ?? 0, close: () => log.push('closed') }),
    logits: () => new Float32Array(1),
    importRecord() {},
    trim() {},
    clear() {},
  }
}
