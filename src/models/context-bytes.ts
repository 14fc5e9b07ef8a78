/**
 * What llama.cpp allocates for one sequence: a context of its own, with a spare sequence in it
 * through which records move. Whatever is shown or planned of a sequence comes from here. What it
 * computes with is an upper estimate; `prefixd ps` shows the sum beside what the process has.
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

export interface ContextBytes {
  /** Keys and values of all tokens, windows and states. */
  readonly kept: number
  /** Of that: windows and states, which a longer context does not make larger. */
  readonly exact: number
  /** Buffers while it computes: they grow with the context too. */
  readonly computing: number
}

export function contextBytes(
  memory: ModelMemory,
  contextTokens: number,
  types: KvTypes,
): ContextBytes {
  const { window, stateBytes, rowWidth } = memory
  const cells = padded(contextTokens)
  const windowCells =
    window.tokens === 0
      ? 0
      : padded(Math.min(cells, window.tokens * sequencesPerContext + rowsPerGraph))
  const windowRow = rowBytes(window.keys, types.keys) + rowBytes(window.values, types.values)
  const width = rowWidth.embedding * embeddingRows + rowWidth.hidden * hiddenRows
  const exact = Math.ceil(windowCells * windowRow) + stateBytes * sequencesPerContext
  return {
    kept: Math.ceil(cells * kvBytesPerToken(memory, types)) + exact,
    exact,
    computing: rowsPerGraph * (cells * maskBytes + width * Float32Array.BYTES_PER_ELEMENT),
  }
}
