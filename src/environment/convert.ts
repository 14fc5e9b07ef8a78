/** Runs the converter of the MLX engine: a GGUF file becomes a folder that mlx-lm loads. */
import { convertCommand } from '../../engines/on-disk.ts'
import type { Surroundings } from '../config/paths.ts'
import { type ErrorCode, errorKinds, PrefixdError } from '../errors.ts'
import { type ChildEnd, runChild } from './child.ts'
import { readyEnvironment } from './environment.ts'

/** `stored`: as the file has them, quantised or not. */
export const convertedDtypes = ['stored', 'float32', 'float16'] as const
export type ConvertedDtype = (typeof convertedDtypes)[number]

export interface Conversion {
  /** Path of the GGUF file. */
  readonly gguf: string
  /** Exists, and is empty. */
  readonly folder: string
  readonly dtype: ConvertedDtype
  readonly around: Surroundings
  readonly signal: AbortSignal
  readonly onProgress: (progress: { receivedBytes: number; totalBytes: number }) => void
}

interface Refusal {
  readonly code: ErrorCode
  readonly message: string
  readonly next: string
}

/**
 * Writes the files; removes nothing after a failure. Throws PREFIXD_E_MODEL_CONVERT for what cannot
 * be converted, PREFIXD_E_MODEL_FILE, PREFIXD_E_ENGINE_MISSING, or the signal's reason.
 */
export async function convertGguf(conversion: Conversion): Promise<void> {
  const { gguf, folder, dtype, around, signal, onProgress } = conversion
  const { places } = readyEnvironment(around)
  const { command, args, env } = convertCommand(places.python, [gguf, folder, '--dtype', dtype])
  let refusal: Refusal | null = null
  const end = await runChild(command, args, {
    env: { ...around.env, ...env },
    signal,
    onLine(line) {
      const said = parseLine(line)
      if (said === null) return
      if ('message' in said) refusal = said
      else onProgress(said)
    },
  })
  if (end.exitCode !== 0) throw failure(refusal, end)
}

/** What the converter says; null for what a library prints. */
function parseLine(line: string): Refusal | { receivedBytes: number; totalBytes: number } | null {
  try {
    const { done, total, error, message, next } = JSON.parse(line) as Record<string, unknown>
    if (typeof done === 'number' && typeof total === 'number') {
      return { receivedBytes: Math.min(done, total), totalBytes: total }
    }
    const isKnown = typeof error === 'string' && Object.hasOwn(errorKinds, error)
    return isKnown ? { code: error as ErrorCode, message: `${message}`, next: `${next}` } : null
  } catch {
    return null
  }
}

function failure(refusal: Refusal | null, { exitCode, output }: ChildEnd): PrefixdError {
  if (refusal !== null) {
    const { code, message, next } = refusal
    return new PrefixdError(code, message, { field: 'model', next })
  }
  const words = output.trim().split('\n').at(-1) ?? ''
  return new PrefixdError(
    'PREFIXD_E_MODEL_CONVERT',
    `The converter ended with ${exitCode ?? 'a signal'}: ${words.slice(0, 400)}`,
    { field: 'model', next: 'Check that disk and memory have room for the whole model.' },
  )
}
