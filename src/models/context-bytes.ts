/**
 * What llama.cpp allocates for one sequence: a context of its own, with a spare sequence in it
 * through which records move. Upper estimates; `prefixd ps` shows them beside what the process has.
 */
import { type KvTypes, rowBytes } from './kv-types.ts'
import { kvBytesPerToken, type ModelMemory } from './model-memory.ts'

/** Cells come in steps of this; so many rows are computed at once. */
const cellStep = 256
const rowsPerGraph = 512
/** The sequence itself and the spare one. */
const sequencesPerContext = 2

/** F32 rows of each width that are alive at once while a layer is computed. */
const embeddingRows = 8
const hiddenRows = 4
/** Who may see whom, in F32 and F16, for each row and cell. */
const maskBytes = 6

const padded = (cells: number): number => Math.ceil(cells / cellStep) * cellStep

export function contextBytes(memory: ModelMemory, contextTokens: number, types: KvTypes): number {
  const { window, stateBytes, rowWidth } = memory
  const cells = padded(contextTokens)
  const windowCells =
    window.tokens === 0
      ? 0
      : padded(Math.min(cells, window.tokens * sequencesPerContext + rowsPerGraph))
  const windowRow = rowBytes(window.keys, types.keys) + rowBytes(window.values, types.values)
  const width = rowWidth.embedding * embeddingRows + rowWidth.hidden * hiddenRows
  return Math.ceil(
    cells * kvBytesPerToken(memory, types) +
      windowCells * windowRow +
      stateBytes * sequencesPerContext +
      rowsPerGraph * (cells * maskBytes + width * Float32Array.BYTES_PER_ELEMENT),
  )
}
