/**
 * Writes which blocks each prompt had into a file, a line of JSON for each request, for `prefixd
 * simulate`: hashes and counts, no token and no text. A full file becomes `FILE.1`, in place of the
 * one before it, so that no more than two of them are there.
 *
 * Recording is never worth a request: the first write that fails ends it, with a warning.
 */
import { appendFile, rename, stat } from 'node:fs/promises'
import { limits } from '../config/limits.ts'
import type { RecordedRequest } from '../pipeline/types.ts'

export interface TraceRecorder {
  record(request: RecordedRequest): void
  /** Resolves when everything is written. */
  close(): Promise<void>
}

export interface RecorderOptions {
  readonly path: string
  readonly maxBytes?: number
  readonly now: () => number
  readonly warn: (message: string, error: unknown) => void
}

export function createTraceRecorder(options: RecorderOptions): TraceRecorder {
  const { path, maxBytes = limits.recordBytes, now, warn } = options
  let writing: Promise<void> = Promise.resolve()
  let sizeBytes: number | null = null
  let isBroken = false
  /** Lines are in order of time even where the clock goes back. */
  let latestMs = 0

  async function write(line: string): Promise<void> {
    if (isBroken) return
    try {
      sizeBytes ??= await sizeOf(path)
      const lineBytes = Buffer.byteLength(line)
      if (sizeBytes > 0 && sizeBytes + lineBytes > maxBytes) {
        await rename(path, `${path}.1`)
        sizeBytes = 0
      }
      await appendFile(path, line, { mode: 0o600 })
      sizeBytes += lineBytes
    } catch (error) {
      isBroken = true
      warn(`requests are no longer recorded in ${path}`, error)
    }
  }

  return {
    record(request) {
      latestMs = Math.max(latestMs, now())
      const line = lineOf(request, latestMs)
      writing = writing.then(() => write(line))
    },
    close: () => writing,
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}

/** As many digits of a hash as a number holds exactly: other tools want numbers. */
const exactHexDigits = 13

function lineOf(request: RecordedRequest, timestamp: number): string {
  const { blockMs } = request
  const line = {
    timestamp,
    input_length: request.promptTokens,
    output_length: request.generatedTokens,
    hash_ids: request.hashes.map((hash) => Number.parseInt(hash.slice(0, exactHexDigits), 16)),
    model: request.model,
    block_tokens: request.blockTokens,
    block_bytes: request.blockBytes,
    block_ms: blockMs === null ? null : Math.round(blockMs * 10) / 10,
  }
  return `${JSON.stringify(line)}\n`
}
