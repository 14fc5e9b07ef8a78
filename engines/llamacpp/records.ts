/**
 * Moves records between the caller's memory and llama.cpp's, in one copy. They go through a spare
 * sequence, the moving one, which holds of the real sequence only what the record shall have.
 *
 * llama.cpp tells two parts apart: what can be cut (`kv`), and what cannot (PARTIAL_ONLY: `window`,
 * `state`). Every record is a whole state of its own, with nothing in the place of the other parts,
 * so that each is read back by one call.
 */
import type { RestoreRecord } from '../types.ts'
import type { LlamaContext } from './context.ts'
import { type MemoryShape, sequenceBytesOf } from './memory-shape.ts'
import { kvFault, stateFault, windowFault } from './state-bytes.ts'

const everything = 0
/** `LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY`. */
const boundaryOnly = 1

export interface RecordMover {
  readonly shape: MemoryShape
  /**
   * Puts tokens [from, keepTo) of a record into a sequence, or the boundary part at its end.
   * Returns what is wrong, as words, or null. After a fault the cells may hold anything, and the
   * context must be wiped.
   */
  importInto(sequence: number, record: RestoreRecord, bytes: Uint8Array): string | null
  /**
   * Fills `into`, which is as long as the record; for a boundary part the sequence stands at `to`.
   * Returns how many bytes llama.cpp wrote.
   */
  exportFrom(
    sequence: number,
    record: Pick<RestoreRecord, 'kind' | 'from' | 'to'>,
    into: Uint8Array,
  ): number
  /**
   * Does the sequence hold all that it needs of its `tokenCount` tokens? llama.cpp accepts what
   * does not fit together and computes wrong logits from it.
   */
  guardFault(sequence: number, tokenCount: number): string | null
  /**
   * Puts the window into the cells that a restored one would get: sums over cells depend on their
   * order in the last digits. `exported` is its record, where there is one of just now. Returns
   * what is wrong, as words, or null.
   */
  reseatWindow(sequence: number, exported?: Uint8Array): string | null
}

export function createRecordMover(llama: LlamaContext, shape: MemoryShape): RecordMover {
  const { calls, context, memory, movingSequence: moving } = llama
  const hasState = shape.stateBytes > 0
  let scratch = new Uint8Array(0)

  /** Pooled, and touched by its first use: fresh memory is ten times slower. */
  const scratchOf = (sizeBytes: number): Uint8Array => {
    if (scratch.byteLength < sizeBytes) scratch = new Uint8Array(sizeBytes)
    return scratch.subarray(0, sizeBytes)
  }
  const read = (from: number, into: Uint8Array, flags: number): number =>
    Number(calls.llama_state_seq_get_data_ext(context, into, into.byteLength, from, flags))
  const write = (to: number, bytes: Uint8Array, flags: number): string | null => {
    const taken = calls.llama_state_seq_set_data_ext(context, bytes, bytes.byteLength, to, flags)
    return Number(taken) === bytes.byteLength ? null : `llama.cpp took ${taken} of its bytes`
  }
  /** Of the state, the moving sequence always gets the whole. */
  const withMoved = <T>(source: number, from: number, to: number, use: () => T): T => {
    calls.llama_memory_seq_cp(memory, source, moving, from, to)
    try {
      return use()
    } finally {
      calls.llama_memory_seq_rm(memory, moving, -1, -1)
    }
  }
  const dropState = (): void => {
    if (hasState) write(moving, shape.emptyBoundary, boundaryOnly)
  }

  const readTokens = (into: Uint8Array): number => {
    dropState()
    const sizeBytes = Number(calls.llama_state_seq_get_size_ext(context, moving, everything))
    if (sizeBytes === into.byteLength) return read(moving, into, everything)
    // Windowed layers still hold some of these tokens; their rows come last, and are left out.
    const whole = scratchOf(sizeBytes)
    if (read(moving, whole, everything) !== sizeBytes) return 0
    const end = shape.emptyBoundary.subarray(8)
    into.set(whole.subarray(0, into.byteLength - end.byteLength))
    into.set(end, into.byteLength - end.byteLength)
    return into.byteLength
  }

  const importTokens = (id: number, record: RestoreRecord, bytes: Uint8Array): string | null => {
    const { from, to, keepTo } = record
    if (shape.memory === 'recurrent') return null
    const fault = kvFault(bytes, shape, from, to) ?? write(moving, bytes, everything)
    if (fault !== null) return fault
    calls.llama_memory_seq_cp(memory, moving, id, from, keepTo)
    calls.llama_memory_seq_rm(memory, moving, -1, -1)
    return shape.memory === 'kv' ? positionFault(id, 0, keepTo - 1) : null
  }

  const positionFault = (id: number, firstMax: number, last: number): string | null => {
    const first = calls.llama_memory_seq_pos_min(memory, id)
    const actualLast = calls.llama_memory_seq_pos_max(memory, id)
    if (first >= 0 && first <= firstMax && actualLast === last) return null
    return `positions ${first} to ${actualLast} stand in the sequence afterwards`
  }

  const guardFault = (id: number, tokenCount: number): string | null => {
    const last = tokenCount - 1
    if (hasState) {
      const first = calls.llama_memory_seq_pos_min(memory, id)
      if (first !== last) return `its state is the one of position ${first} instead of ${last}`
    }
    const firstMax = hasState ? last : Math.max(0, tokenCount - (shape.windowTokens || tokenCount))
    const fault = positionFault(id, firstMax, last)
    if (fault !== null) return fault
    // The positions above are those of the part that reaches the least far; this counts all.
    const expected = sequenceBytesOf(shape, tokenCount)
    const actual = Number(calls.llama_state_seq_get_size_ext(context, id, everything))
    return actual === expected ? null : `its state has ${actual} bytes instead of ${expected}`
  }

  const reseatWindow = (id: number, exported?: Uint8Array): string | null => {
    // The record of a window clears a state.
    if (exported !== undefined && !hasState) return write(id, exported, boundaryOnly)
    const sizeBytes = Number(calls.llama_state_seq_get_size_ext(context, id, boundaryOnly))
    const whole = scratchOf(sizeBytes)
    if (read(id, whole, boundaryOnly) !== sizeBytes) return 'its window cannot be read'
    return write(id, whole, boundaryOnly)
  }

  return {
    shape,
    guardFault,
    reseatWindow,
    importInto(id, record, bytes) {
      if (record.kind === 'kv') return importTokens(id, record, bytes)
      const { kind, to } = record
      const fault = kind === 'window' ? windowFault(bytes, shape, to) : stateFault(bytes, shape, to)
      return fault ?? write(id, bytes, boundaryOnly)
    },
    exportFrom(id, { kind, from, to }, into) {
      if (kind === 'kv') {
        if (shape.memory === 'recurrent') return 0
        return withMoved(id, from, to, () => readTokens(into))
      }
      if (kind === 'state') {
        // No token is in this range, so that the moving sequence gets the state alone.
        return withMoved(id, to, to + 1, () => read(moving, into, boundaryOnly))
      }
      return withMoved(id, Math.max(0, to - shape.windowTokens), to, () => {
        dropState()
        return read(moving, into, boundaryOnly)
      })
    },
  }
}
