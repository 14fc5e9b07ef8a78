/** Measures the memory of a loaded model, and tries on it whether records can be moved. */
import { checksums } from '../checksum.ts'
import { EngineError } from '../errors.ts'
import type { Memory } from './architecture.ts'
import type { LlamaContext } from './context.ts'
import { kindsOf, type LinearBytes, type MemoryShape, recordBytesOf } from './memory-shape.ts'
import { createRecordMover, type RecordMover } from './records.ts'

const sequence = 0
const tokens = 3
const everything = 0
const boundaryOnly = 1

/** Positions of more than one axis (M-RoPE) stand beside each token: `llama_rope_type`. */
const ropeTypesWithAxes: readonly number[] = [8, 40]
const plainCellBytes = 12
const cellBytesWithAxes = 24

export interface MemoryFacts {
  readonly memory: Memory
  readonly windowTokens: number
  readonly ropeType: number
}

export type MeasuredMemory =
  | { readonly mover: RecordMover; readonly refusal: null }
  | { readonly mover: null; readonly refusal: string }

/**
 * Refused where a record of three tokens does not come back as it went. Throws
 * `PREFIXD_E_ENGINE_MODEL` when not even three tokens can be computed.
 */
export function measureMemory(llama: LlamaContext, facts: MemoryFacts): MeasuredMemory {
  const batch = llama.batch.fill(new Uint32Array(tokens), 0, sequence, 'none')
  const code = llama.calls.llama_decode(llama.context, batch)
  if (code !== 0) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_MODEL',
      `llama.cpp could not compute three tokens with this model (code ${code}).`,
    )
  }
  try {
    const shape = shapeOf(llama, facts)
    const mover = typeof shape === 'string' ? null : createRecordMover(llama, shape)
    const fault = mover === null ? String(shape) : roundTripFault(llama, mover)
    if (mover !== null && fault === null) return { mover, refusal: null }
    const refusal = `State bytes are not laid out as in the known releases of llama.cpp: ${fault}.`
    return { mover: null, refusal }
  } finally {
    llama.wipe()
  }
}

/** Sizes of one, two and three tokens; words where they do not grow evenly. */
function shapeOf(llama: LlamaContext, facts: MemoryFacts): MemoryShape | string {
  const { calls, context, memory, movingSequence: moving } = llama
  const kinds = kindsOf[facts.memory]
  const sizeOf = (flags: number): number =>
    Number(calls.llama_state_seq_get_size_ext(context, moving, flags))
  const read = (into: Uint8Array, flags: number): Uint8Array => {
    calls.llama_state_seq_get_data_ext(context, into, into.byteLength, moving, flags)
    return into
  }
  const plain = facts.memory === 'kv'
  const emptyBoundary = plain
    ? new Uint8Array(8)
    : read(new Uint8Array(sizeOf(boundaryOnly)), boundaryOnly)
  const moved = <T>(from: number, to: number, measure: () => T): T => {
    calls.llama_memory_seq_cp(memory, sequence, moving, from, to)
    const result = measure()
    calls.llama_memory_seq_rm(memory, moving, -1, -1)
    return result
  }
  /** So many tokens in the moving sequence, without a state. */
  const withTokens = <T>(tokenCount: number, measure: () => T): T =>
    moved(0, tokenCount, () => {
      const { byteLength } = emptyBoundary
      if (kinds.includes('state')) {
        calls.llama_state_seq_set_data_ext(context, emptyBoundary, byteLength, moving, boundaryOnly)
      }
      return measure()
    })
  // A memory of one part has no boundary part, and gives the whole instead.
  const hasParts = moved(0, tokens, () => sizeOf(everything) !== sizeOf(boundaryOnly))
  if (hasParts !== (!plain && facts.memory !== 'recurrent')) {
    return `its memory ${hasParts ? 'has' : 'has no'} parts that cannot be cut`
  }
  const sizes = [1, 2, 3].map((tokenCount) =>
    withTokens(tokenCount, () => {
      const { byteLength } = emptyBoundary
      const [whole, boundary] = [sizeOf(everything), plain ? byteLength : sizeOf(boundaryOnly)]
      return { kv: whole - boundary + (plain ? boundary : byteLength), window: boundary }
    }),
  )
  const none = { fixedBytes: 0, bytesPerToken: 0 }
  const kv = facts.memory === 'recurrent' ? none : linearOf(sizes.map((size) => size.kv))
  const window = kinds.includes('window') ? linearOf(sizes.map((size) => size.window)) : none
  if (kv === null || window === null) {
    return `1, 2 and 3 tokens take ${sizes.map((size) => size.kv + size.window).join(', ')} bytes`
  }
  const cellBytes = ropeTypesWithAxes.includes(facts.ropeType) ? cellBytesWithAxes : plainCellBytes
  return {
    memory: facts.memory,
    windowTokens: facts.windowTokens,
    cellBytes,
    transposedValues: withTokens(tokens, () => {
      const state = read(new Uint8Array(sizeOf(everything)), everything)
      return facts.memory !== 'recurrent' && state[16 + tokens * cellBytes] === 1
    }),
    kv,
    window,
    stateBytes: kinds.includes('state') ? moved(tokens, tokens + 1, () => sizeOf(boundaryOnly)) : 0,
    emptyBoundary,
  }
}

function linearOf(sizes: readonly number[]): LinearBytes | null {
  const [one = 0, two = 0, three = 0] = sizes
  const bytesPerToken = two - one
  return three - two === bytesPerToken ? { fixedBytes: one - bytesPerToken, bytesPerToken } : null
}

/** Exports three tokens, restores them into the emptied sequence, and exports them again. */
function roundTripFault(llama: LlamaContext, mover: RecordMover): string | null {
  const records = kindsOf[mover.shape.memory].map((kind) => ({
    ...{ kind, from: 0, to: tokens, keepTo: tokens, crc32s: [], offset: 0, generation: 0 },
    sizeBytes: recordBytesOf(mover.shape, kind, 0, tokens) ?? 0,
  }))
  const buffers = records.map((record) => new Uint8Array(record.sizeBytes))
  /** Of each record, into the same memory as before: a state may have hundreds of MB. */
  const exported = (): string[] =>
    records.map((record, index) => {
      const into = buffers[index] as Uint8Array
      const written = mover.exportFrom(sequence, record, into)
      return `${record.kind}: ${written} of ${into.length} bytes, ${checksums(into)}`
    })
  const before = exported()
  llama.calls.llama_memory_seq_rm(llama.memory, sequence, -1, -1)
  for (const [index, record] of records.entries()) {
    const fault = mover.importInto(sequence, record, buffers[index] as Uint8Array)
    if (fault !== null) return `a ${record.kind} record is refused: ${fault}`
  }
  const fault = mover.guardFault(sequence, tokens)
  if (fault !== null) return fault
  const different = exported().find((words, index) => words !== before[index])
  return different === undefined ? null : `a record does not come back as it went (${different})`
}
