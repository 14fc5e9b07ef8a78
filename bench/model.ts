/** What a run needs and this machine lacks yet, brought by the product's own commands. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { currentSurroundings } from '../src/config/paths.ts'
import { mlxEnvironment } from '../src/environment/index.ts'
import { kindOfEngine, resolveModel } from '../src/models/index.ts'
import type { Choices } from './settings.ts'

/** Shows their progress on stderr. */
export async function ensureModel({ engine, model }: Choices): Promise<void> {
  const kind = kindOfEngine(engine)
  if (kind === null) return
  if (engine === 'mlx' && mlxEnvironment(currentSurroundings()).state !== 'ready') {
    prefixd('engines', 'install', 'mlx')
  }
  try {
    await resolveModel(model, { pull: false, kind })
  } catch {
    if (engine === 'mlx') prefixd('models', 'convert', model, '--to', 'mlx')
    else prefixd('models', 'pull', model)
  }
}

/** Runs a command of the product to its end. */
export function prefixd(...words: readonly string[]): void {
  const bin = fileURLToPath(new URL('../bin/prefixd', import.meta.url))
  const stdio = ['inherit', process.stderr, 'inherit'] as const
  const { status } = spawnSync('sh', [bin, ...words], { stdio: [...stdio] })
  if (status !== 0) throw new Error(`\`prefixd ${words.join(' ')}\` has failed.`)
}
