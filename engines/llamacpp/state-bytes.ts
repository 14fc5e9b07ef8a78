/**
 * The beginning of the bytes that `llama_state_seq_get_data` writes, checked before llama.cpp reads
 * them: it believes the counts in there (a wrong cell count allocates for minutes) and has no way
 * to refuse a block of other positions. What it checks itself is left to it: layers, types, rows.
 *
 * Layout (v0.5.0, little endian): u32 magic, i32 sequence, then the sections of this memory.
 * Attention (`llama_kv_cache::state_write`): u32 streams, u32 cells; where there are cells, for
 * each i32 position, u32 sequence count, 12 bytes more where positions have axes, i32 sequence;
 * then u32 transposed V, u32 layers, and the rows of each layer. Recurrent
 * (`llama_memory_recurrent::state_write`): u32 cells, for each i32 position, u32 0; then u32
 * transposed, u32 layers, rows.
 */
import type { MemoryShape } from './memory-shape.ts'

const magic = 0xaf143cd8
/** Magic and sequence. */
const headBytes = 8
/** Streams and cells, all that stands there of an attention without tokens. */
const emptyAttentionBytes = 8

type Fault = string | null

/** What is wrong with a record of tokens [from, to), as words; null when nothing is. */
export function kvFault(bytes: Uint8Array, shape: MemoryShape, from: number, to: number): Fault {
  const fault = attentionFault(bytes, shape, from, to, 'in order')
  return fault ?? endFault(bytes, shape.emptyBoundary.subarray(headBytes))
}

/** The window behind `to` tokens. Its cells are a ring, so they stand in any order. */
export function windowFault(bytes: Uint8Array, shape: MemoryShape, to: number): Fault {
  const from = Math.max(0, to - shape.windowTokens)
  const fault = attentionFault(bytes, shape, from, to, 'in any order')
  return fault ?? endFault(bytes, shape.emptyBoundary.subarray(headBytes + emptyAttentionBytes))
}

/** The recurrent state behind `to` tokens. */
export function stateFault(bytes: Uint8Array, shape: MemoryShape, to: number): Fault {
  const emptyWindow = shape.windowTokens > 0
  const cellsAt = headBytes + (emptyWindow ? emptyAttentionBytes : 0)
  if (bytes.byteLength < cellsAt + 12) return 'it is too short'
  const view = viewOf(bytes)
  if (view.getUint32(0, true) !== magic) return 'it does not begin with the magic of llama.cpp'
  if (emptyWindow && (view.getUint32(8, true) !== 1 || view.getUint32(12, true) !== 0)) {
    return 'it holds more than the state'
  }
  if (view.getUint32(cellsAt, true) !== 1) {
    return `it holds ${view.getUint32(cellsAt, true)} states instead of 1`
  }
  if (view.getInt32(cellsAt + 4, true) !== to - 1 || view.getUint32(cellsAt + 8, true) !== 0) {
    return `its state is not the one of position ${to - 1}`
  }
  return null
}

function attentionFault(
  bytes: Uint8Array,
  { cellBytes, transposedValues }: MemoryShape,
  from: number,
  to: number,
  order: 'in order' | 'in any order',
): Fault {
  const cellsAt = headBytes + emptyAttentionBytes
  const cellCount = to - from
  const rowsAt = cellsAt + cellCount * cellBytes
  if (bytes.byteLength < rowsAt + 8) return 'it is too short'
  const view = viewOf(bytes)
  if (view.getUint32(0, true) !== magic) return 'it does not begin with the magic of llama.cpp'
  if (view.getUint32(8, true) !== 1) return `it has ${view.getUint32(8, true)} streams instead of 1`
  if (view.getUint32(12, true) !== cellCount) {
    return `it holds ${view.getUint32(12, true)} tokens instead of ${cellCount}`
  }
  const seen = new Set<number>()
  for (let index = 0; index < cellCount; index += 1) {
    const at = cellsAt + index * cellBytes
    const position = view.getInt32(at, true)
    const isPlaced = order === 'in any order' || position === from + index
    if (!isPlaced || position < from || position >= to || view.getUint32(at + 4, true) !== 1) {
      return `its token ${index} is not the one of position ${from + index}`
    }
    if (order === 'in any order') seen.add(position)
  }
  if (order === 'in any order' && seen.size < cellCount) return 'it holds a position twice'
  const transposed = view.getUint32(rowsAt, true) !== 0
  if (transposed === transposedValues) return null
  return transposed ? 'its values are stored transposed' : 'its values are not stored transposed'
}

/** A record ends with nothing where another kind of record has its bytes. */
function endFault(bytes: Uint8Array, tail: Uint8Array): Fault {
  const end = bytes.subarray(bytes.byteLength - tail.byteLength)
  return Buffer.compare(end, tail) === 0 ? null : 'it does not end where its tokens do'
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
