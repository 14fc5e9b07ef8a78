/** The default model in this process, and the few steps that its tests repeat. */
import type { TokenIds } from '../../cache/types.ts'
import { loadModel } from '../../engines/llamacpp/model.ts'
import type {
  EngineModel,
  EngineSequence,
  RestoreRecord,
  SamplerRequest,
  Sampling,
  WorkerOptions,
} from '../../engines/types.ts'
import { defaultModelPath } from './default-model.ts'

export const blockTokens = 256

export async function openDefaultModel(changes: Partial<WorkerOptions> = {}): Promise<EngineModel> {
  const options: WorkerOptions = {
    modelPath: changes.modelPath ?? defaultModelPath(),
    contextTokens: 2048,
    sequences: 1,
    threads: 1,
    blockTokens,
    reuse: 'token',
    engine: {},
    ...changes,
  }
  return loadModel(options, () => {})
}

/** Reproducible prose of exactly `tokenCount` tokens; the same seed shares its beginning. */
export function proseTokens(model: EngineModel, tokenCount: number, seed: number): TokenIds {
  const words = 'the agent reads one file then writes what it found before calling another tool'
  const list = words.split(' ')
  let state = seed
  const text = Array.from({ length: tokenCount }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return list[(state >> 8) % list.length]
  }).join(' ')
  return model.tokenize(text, { addSpecial: false, parseSpecial: false }).slice(0, tokenCount)
}

/** Computes what is missing of `tokens`, in calls that end on the grid of `callTokens`. */
export async function prefill(
  sequence: EngineSequence,
  tokens: TokenIds,
  callTokens = blockTokens,
): Promise<Float32Array> {
  while (sequence.tokenCount < tokens.length) {
    const from = sequence.tokenCount
    const to = Math.min(from - (from % callTokens) + callTokens, tokens.length)
    await sequence.compute(tokens.subarray(from, to), to === tokens.length)
  }
  return sequence.logits()
}

/** Samples and computes `tokenCount` tokens behind a prefilled prompt. */
export async function decode(
  sequence: EngineSequence,
  sampling: Sampling,
  prompt: TokenIds,
  tokenCount: number,
  changes: Pick<SamplerRequest, 'grammar' | 'logitBias'> = {},
): Promise<number[]> {
  const sampler = sequence.createSampler({ sampling, tokens: prompt, ...changes })
  const tokens: number[] = []
  while (tokens.length < tokenCount) {
    const token = sampler.sample()
    tokens.push(token)
    await sequence.compute(Uint32Array.of(token), true)
  }
  sampler.close()
  return tokens
}

export interface StoredRecord {
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/** Records of all blocks that stand in the sequence, the shorter tail included. */
export function exportBlocks(sequence: EngineSequence): StoredRecord[] {
  const records: StoredRecord[] = []
  for (let from = 0; from < sequence.tokenCount; from += blockTokens) {
    const to = Math.min(from + blockTokens, sequence.tokenCount)
    const bytes = new Uint8Array(sequence.recordBytes('kv', from, to))
    sequence.exportRecord('kv', from, to, bytes)
    records.push({ from, to, bytes })
  }
  return records
}

/** Restores tokens [0, keepTo) from records, the last one trimmed. */
export function restore(
  sequence: EngineSequence,
  records: readonly StoredRecord[],
  keepTo: number,
): void {
  for (const { from, to, bytes } of records) {
    if (from >= keepTo) return
    sequence.importRecord(restoreRecord({ from, to, bytes }, Math.min(to, keepTo)), bytes)
  }
}

export function restoreRecord({ from, to, bytes }: StoredRecord, keepTo: number): RestoreRecord {
  return {
    kind: 'kv',
    from,
    to,
    keepTo,
    crc32s: [],
    offset: 0,
    sizeBytes: bytes.length,
    generation: 0,
  }
}

export function maxDifference(left: Float32Array, right: Float32Array): number {
  return left.reduce((max, value, index) => Math.max(max, Math.abs(value - (right[index] ?? 0))), 0)
}

export function argmax(logits: Float32Array): number {
  return logits.reduce((best, value, index) => (value > (logits[best] ?? 0) ? index : best), 0)
}
