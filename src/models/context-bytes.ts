/**
 * What llama.cpp allocates for one sequence: a context of its own, with a spare sequence in it
 * through which records move. Whatever is shown or planned of a sequence comes from here. What it
 * computes with is an upper estimate; `prefixd ps` shows the sum beside what the process has.
 */
import { halfPrecision, type KvTypes, rowBytes } from './kv-types.ts'
import { kvBytesPerToken, type ModelMemory } from './model-memory.ts'
import type { ContextBytes, SequenceMemory } from './sequence-memory.ts'

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

/** What llama.cpp takes for this model with these types of keys and values. */
export function llamaSequences(memory: ModelMemory, types: KvTypes): SequenceMemory {
  const isUsual = types.keys === halfPrecision.keys && types.values === halfPrecision.values
  return {
    trainedContextTokens: memory.trainedContextTokens,
    kinds: memory.kinds,
    kvBytesPerToken: kvBytesPerToken(memory, types),
    guess: memory.guess,
    useless: isUsual || hasRows(memory) ? null : uselessTypes(memory),
    quantised:
      types.keys === halfPrecision.keys
        ? llamaSequences(memory, { keys: 'q8_0', values: 'q8_0' })
        : null,
    bytesOf(contextTokens, sequences) {
      const { kept, exact, computing } = contextBytes(memory, contextTokens, types)
      return {
        kept: sequences * kept,
        exact: sequences * exact,
        computing: sequences * computing,
      }
    },
  }
}

const hasRows = ({ kv, window }: ModelMemory): boolean =>
  kv.keys + kv.values + window.keys + window.values > 0

const uselessTypes = ({ architecture }: ModelMemory): string =>
  `--kv-type changes nothing: ${architecture} models keep no keys and no values`

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
