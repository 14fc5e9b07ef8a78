/**
 * The beginning of the bytes that `llama_state_seq_get_data` writes for a plain KV cache, checked
 * before llama.cpp reads them: it believes the counts in there (a wrong cell count allocates for
 * minutes) and has no way to refuse a block of other positions.
 *
 * Layout (llama-context.cpp and llama_kv_cache::state_write of v0.5.0, little endian):
 * u32 magic, i32 sequence, u32 streams, u32 cells, then for each cell i32 position, u32 sequence
 * count, i32 sequence; then u32 transposed V, u32 layers, and the rows of each layer.
 */

const magic = 0xaf143cd8
const headBytes = 16
const cellBytes = 12

/** What is wrong with the head of a record of tokens [from, to), as words; null when nothing is. */
export function stateBytesFault(bytes: Uint8Array, from: number, to: number): string | null {
  const cellCount = to - from
  if (bytes.byteLength < headBytes + cellCount * cellBytes + 8) return 'it is too short'
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== magic) return 'it does not begin with the magic of llama.cpp'
  if (view.getUint32(8, true) !== 1) return `it has ${view.getUint32(8, true)} streams instead of 1`
  if (view.getUint32(12, true) !== cellCount) {
    return `it holds ${view.getUint32(12, true)} tokens instead of ${cellCount}`
  }
  for (let index = 0; index < cellCount; index += 1) {
    const at = headBytes + index * cellBytes
    if (view.getInt32(at, true) !== from + index || view.getUint32(at + 4, true) !== 1) {
      return `its token ${index} is not the one of position ${from + index}`
    }
  }
  const transposedAt = headBytes + cellCount * cellBytes
  if (view.getUint32(transposedAt, true) !== 0) return 'its values are stored transposed'
  return null
}
