/** What LoRA files take of the memory: the engine loads them whole, beside the weights. */
import { stat } from 'node:fs/promises'
import { PrefixdError } from '../errors.ts'

/** `files` as in `--lora`: paths with `:SCALE` behind them where that is not 1. */
export async function adapterBytes(files: readonly string[]): Promise<number> {
  let bytes = 0
  for (const file of files) bytes += await sizeOf(file.replace(/:-?\d+(\.\d+)?$/, ''))
  return bytes
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new PrefixdError(
      'PREFIXD_E_MODEL_FILE',
      `The adapter ${path} cannot be read (${code}).`,
      {
        field: '--lora',
        next: 'Name GGUF adapters that were made for this model in --lora.',
        cause: error,
      },
    )
  }
}
