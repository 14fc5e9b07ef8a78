/** Converts GGUF files with the product's own function, and asks mlx-lm about what came out. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mlxPythonPath } from '../../engines/mlx/files.ts'
import { type Conversion, convertGguf } from '../../src/environment/index.ts'
import { mlxTestEnvironment } from '../support/mlx-environment.ts'

export interface ConvertedHere {
  readonly folder: string
  /** Token ids of each text; true: special tokens are read as such. */
  tokens(asked: readonly (readonly [string, boolean])[]): number[][]
  /** Logits behind each token, computed in float32, one row after the other. */
  logits(tokens: Uint32Array): Float32Array
  remove(): void
}

export async function convertHere(
  gguf: string,
  dtype: Conversion['dtype'] = 'stored',
): Promise<ConvertedHere> {
  const { python, around } = await mlxTestEnvironment()
  const folder = mkdtempSync(join(tmpdir(), 'prefixd-converted-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const { signal } = new AbortController()
  try {
    await convertGguf({ ...{ gguf, folder, dtype, around, signal }, onProgress: () => {} })
  } catch (error) {
    remove()
    throw error
  }
  const ask = (words: readonly string[], input: unknown): string =>
    execFileSync(python, ['-P', join(import.meta.dirname, 'ask.py'), folder, ...words], {
      input: JSON.stringify(input),
      env: { ...process.env, PYTHONPATH: mlxPythonPath(), PYTHONDONTWRITEBYTECODE: '1' },
      maxBuffer: 512 * 1024 * 1024,
      encoding: 'utf8',
    })
  return {
    folder,
    remove,
    tokens: (asked) => JSON.parse(ask(['tokens'], asked)) as number[][],
    logits(tokens) {
      const path = join(folder, 'logits')
      ask(['logits', path], Array.from(tokens))
      return new Float32Array(new Uint8Array(readFileSync(path)).buffer)
    },
  }
}
