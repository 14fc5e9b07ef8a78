/** What people compare models by, before they choose one for their machine. */
import { stat } from 'node:fs/promises'
import { PrefixdError } from '../errors.ts'
import { contextBytes } from './context-bytes.ts'
import { readGgufMetadata } from './gguf-metadata.ts'
import { halfPrecision } from './kv-types.ts'
import { readMlxFolder } from './mlx-folder.ts'
import { mlxMemoryOf } from './mlx-memory.ts'
import { kvBytesPerToken, type MemoryKind, modelMemoryOf } from './model-memory.ts'

/** With keys and values in f16. */
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

/** Reads the file's header, or the folder's config. Null where that tells nothing. */
export async function memoryFigures(path: string): Promise<MemoryFigures | null> {
  try {
    const isFolder = (await stat(path)).isDirectory()
    const memory = isFolder
      ? mlxMemoryOf((await readMlxFolder(path)).config)
      : modelMemoryOf(await readGgufMetadata(path))
    if (memory === null) return null
    return {
      layers: memory.layers,
      trainedContextTokens: memory.trainedContextTokens,
      kinds: memory.kinds,
      kvBytesPerToken: kvBytesPerToken(memory, halfPrecision),
      bytesAt8k: contextBytes(memory, tokensAt8k, halfPrecision).kept,
      bytesAt32k: contextBytes(memory, tokensAt32k, halfPrecision).kept,
      guess: memory.guess,
    }
  } catch (error) {
    const isFile = error instanceof PrefixdError || (error as { code?: unknown }).code !== undefined
    if (isFile) return null
    throw error
  }
}
