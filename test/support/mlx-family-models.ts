/**
 * Tiny models of each family of mlx-lm's caches, as folders that it loads. The Python beside this
 * file makes them; pytest builds the same ones, so that what both see fail is one thing.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const families = [
  'llama',
  'gemma3',
  'gpt-oss',
  'qwen35',
  'qwen3-next',
  'mamba2',
  'llama4',
  'deepseek-v32',
  'lfm2',
  'recurrent-gemma',
  'falcon-h1',
] as const
export type MlxFamily = (typeof families)[number]

const support = fileURLToPath(new URL('.', import.meta.url))

/** Models that other code has written are not looked at. */
function sourcesDigest(): string {
  const hash = createHash('sha256')
  const sources = join(support, 'mlx_families')
  for (const name of readdirSync(sources).sort()) {
    if (name.endsWith('.py')) hash.update(readFileSync(join(sources, name)))
  }
  return hash.digest('hex').slice(0, 12)
}

/**
 * Folder of a family's model, in float32. All are written at once, once a machine: some MB, and the
 * seconds that mlx-lm takes to start. `python` has the MLX engine's packages.
 */
export function mlxFamilyPath(python: string, family: MlxFamily): string {
  const folder = join(tmpdir(), `prefixd-mlx-families-${sourcesDigest()}`)
  if (!existsSync(folder)) writeFamilies(python, folder)
  return join(folder, family)
}

/** Test files run beside each other: a half-written model must have no name that is looked for. */
function writeFamilies(python: string, folder: string): void {
  const writing = mkdtempSync(join(tmpdir(), 'prefixd-mlx-families-writing-'))
  try {
    execFileSync(python, ['-m', 'mlx_families', writing], {
      env: { ...process.env, PYTHONPATH: support, PYTHONDONTWRITEBYTECODE: '1' },
    })
    renameSync(writing, folder)
  } catch (error) {
    // Somebody else was faster, unless there is nothing yet.
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(writing, { recursive: true, force: true })
  }
}
