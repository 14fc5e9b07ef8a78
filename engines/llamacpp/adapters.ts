/** LoRA adapters: small differences to the weights, which change every KV byte. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { EngineError } from '../errors.ts'
import { listenToErrors } from './error-log.ts'
import type { LlamaLibrary } from './library.ts'
import type { Pointer } from './structs.ts'

export interface AdapterFile {
  readonly path: string
  readonly scale: number
}

export interface Adapters {
  /** Digests and scales, in order; two services with the same words compute the same. */
  readonly words: string
  apply(context: Pointer): void
}

/** `lora` has a file a line, with `:SCALE` behind it where that is not 1. */
export function readAdapterFiles(setting: unknown): readonly AdapterFile[] {
  if (setting === undefined) return []
  return String(setting)
    .split('\n')
    .map((line) => {
      const [, path = line, scale = '1'] = /^(.*):(-?\d+(?:\.\d+)?)$/.exec(line) ?? []
      return { path, scale: Number(scale) }
    })
}

/**
 * Loads the adapters for this model, which owns them from then on. Throws
 * `PREFIXD_E_ENGINE_SETTINGS` with llama.cpp's own reason.
 */
export async function loadAdapters(
  library: LlamaLibrary,
  model: Pointer,
  files: readonly AdapterFile[],
): Promise<Adapters> {
  const { calls } = library
  const loaded: Pointer[] = []
  const words: string[] = []
  for (const { path, scale } of files) {
    words.push(`${await digestOf(path)} × ${scale}`)
    loaded.push(loadAdapter(library, model, path))
  }
  return {
    words: words.length === 0 ? 'none' : words.join(' + '),
    apply(context) {
      if (loaded.length === 0) return
      const pointers = BigUint64Array.from(loaded)
      const scales = Float32Array.from(files, ({ scale }) => scale)
      if (calls.llama_set_adapters_lora(context, pointers, loaded.length, scales) === 0) return
      throw failed('llama.cpp does not apply the adapters to this model.')
    },
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(path), hash)
  } catch (error) {
    throw failed(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
  return hash.digest('hex')
}

function loadAdapter(library: LlamaLibrary, model: Pointer, path: string): Pointer {
  const { calls } = library
  const { result: adapter, firstError } = listenToErrors(library, () =>
    calls.llama_adapter_lora_init(model, path),
  )
  if (adapter === null) {
    throw failed(`llama.cpp does not load ${path}: ${firstError ?? 'no reason given'}.`)
  }
  // It would have to be switched on in the middle of a prompt.
  if (Number(calls.llama_adapter_get_alora_n_invocation_tokens(adapter)) > 0) {
    throw failed(`${path} is an activated adapter (aLoRA), which works from some tokens on only.`)
  }
  return adapter
}

const failed = (words: string): EngineError =>
  new EngineError(
    'PREFIXD_E_ENGINE_SETTINGS',
    `LoRA: ${words} Name GGUF adapters that were made for this model in --lora.`,
  )
