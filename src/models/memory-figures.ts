/** What people compare models by, before they choose one for their machine. */
import { stat } from 'node:fs/promises'
import { PrefixdError } from '../errors.ts'
import { llamaSequences } from './context-bytes.ts'
import { readGgufMetadata } from './gguf-metadata.ts'
import { halfPrecision } from './kv-types.ts'
import { readMlxFolder } from './mlx-folder.ts'
import { mlxMemoryOf } from './mlx-memory.ts'
import { float32Bytes, type MlxComputer, mlxNumbers } from './mlx-numbers.ts'
import { mlxSequences } from './mlx-sequences.ts'
import { readMlxWeights } from './mlx-weights.ts'
import { type MemoryKind, modelMemoryOf } from './model-memory.ts'
import type { SequenceMemory } from './sequence-memory.ts'

/** With keys and values as an engine keeps them that is asked for nothing else. */
export interface MemoryFigures {
  readonly layers: number
  readonly trainedContextTokens: number
  readonly kinds: readonly MemoryKind[]
  readonly kvBytesPerToken: number
  /** What a sequence with room for so many tokens keeps, windows and states included. */
  readonly bytesAt8k: number
  readonly bytesAt32k: number
  /** What the file does not say, so that the worst was taken, as a sentence; null: nothing. */
  readonly guess: string | null
}

const tokensAt8k = 8192
const tokensAt32k = 32_768

/**
 * Reads the file's header, or the folder's config; `mlx` says what would compute the folder. Null
 * where that tells nothing.
 */
export async function memoryFigures(
  path: string,
  mlx: () => Promise<MlxComputer>,
): Promise<MemoryFigures | null> {
  try {
    const isFolder = (await stat(path)).isDirectory()
    const read = isFolder ? await mlxMemory(path, mlx) : await ggufMemory(path)
    if (read === null) return null
    const { layers, memory } = read
    return {
      layers,
      trainedContextTokens: memory.trainedContextTokens,
      kinds: memory.kinds,
      kvBytesPerToken: memory.kvBytesPerToken,
      bytesAt8k: memory.bytesOf(tokensAt8k, 1).kept,
      bytesAt32k: memory.bytesOf(tokensAt32k, 1).kept,
      guess: memory.guess,
    }
  } catch (error) {
    const isFile = error instanceof PrefixdError || (error as { code?: unknown }).code !== undefined
    if (isFile) return null
    throw error
  }
}

interface ReadMemory {
  readonly layers: number
  readonly memory: SequenceMemory
}

async function ggufMemory(path: string): Promise<ReadMemory | null> {
  const memory = modelMemoryOf(await readGgufMetadata(path))
  return memory && { layers: memory.layers, memory: llamaSequences(memory, halfPrecision) }
}

async function mlxMemory(
  path: string,
  mlx: () => Promise<MlxComputer>,
): Promise<ReadMemory | null> {
  const folder = await readMlxFolder(path)
  const memory = mlxMemoryOf(folder.config)
  if (memory === null) return null
  const computedBytes =
    mlxNumbers(await mlx()) === 'float32'
      ? float32Bytes
      : (await readMlxWeights(path, folder)).computedBytes
  // A call takes nothing of what is kept.
  const use = { computedBytes, kvType: 'f16', callTokens: 0 }
  return { layers: memory.layers, memory: mlxSequences(memory, use) }
}
