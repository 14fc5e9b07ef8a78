/** Runs of a tiny model that is cut at boundaries, and restored there. */
import type { RecordKind, TokenIds } from '../../cache/types.ts'
import type { EngineModel, EngineSequence } from '../../engines/types.ts'

export interface CutRecord {
  readonly kind: RecordKind
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

export interface CutPrompt {
  readonly tokens: TokenIds
  /** Positions at which prefill stands still, sorted. */
  readonly cuts: readonly number[]
  readonly blockTokens: number
}

/** Where calls end: on the grid, at the cuts, and at the prompt's end. */
function callEnd({ tokens, cuts, blockTokens }: CutPrompt, from: number): number {
  const nextCut = cuts.find((cut) => cut > from) ?? tokens.length
  return Math.min(from - (from % blockTokens) + blockTokens, nextCut, tokens.length)
}

/** Computes what is missing of the prompt; `at` hears of every position where a call ended. */
export async function prefillCut(
  sequence: EngineSequence,
  prompt: CutPrompt,
  at: (position: number) => void = () => {},
): Promise<Float32Array> {
  while (sequence.tokenCount < prompt.tokens.length) {
    const from = sequence.tokenCount
    const to = callEnd(prompt, from)
    await sequence.compute(prompt.tokens.subarray(from, to), to === prompt.tokens.length)
    at(to)
  }
  return sequence.logits()
}

/** The record of what stands at the sequence's end, or of a block in it. */
export function exportOne(
  sequence: EngineSequence,
  kind: RecordKind,
  from: number,
  to: number,
): CutRecord {
  const bytes = new Uint8Array(sequence.recordBytes(kind, from, to))
  sequence.exportRecord(kind, from, to, bytes)
  return { kind, from, to, bytes }
}

/** The kv record of the block that ends at `to`, and the boundary kinds there. */
export function exportBoundary(
  model: EngineModel,
  sequence: EngineSequence,
  to: number,
  blockTokens: number,
): CutRecord[] {
  const from = Math.floor((to - 1) / blockTokens) * blockTokens
  return model.info.layout.kinds.map((kind) => exportOne(sequence, kind, from, to))
}

/** All records that a restore to `to` needs, of those that were exported, in its order. */
export function recordsUpTo(
  records: readonly CutRecord[],
  to: number,
  blockTokens: number,
): CutRecord[] {
  const lastFrom = Math.floor((to - 1) / blockTokens) * blockTokens
  return records.filter((record) =>
    record.from === lastFrom
      ? record.to === to
      : record.kind === 'kv' && record.to <= to && record.to - record.from === blockTokens,
  )
}

export function importAll(sequence: EngineSequence, records: readonly CutRecord[]): void {
  for (const { kind, from, to, bytes } of records) importOne(sequence, { kind, from, to, bytes })
}

export function importOne(sequence: EngineSequence, record: CutRecord): void {
  const { bytes, ...place } = record
  const filled = { keepTo: place.to, crc32s: [], offset: 0, generation: 0 }
  sequence.importRecord({ ...place, ...filled, sizeBytes: bytes.length }, bytes)
}
