/** The model of a run: brought by the product's own command where it is not stored here yet. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { resolveModel } from '../src/models/index.ts'
import type { Choices } from './settings.ts'

/** Shows the progress bar of `prefixd models pull` on stderr. */
export async function ensureModel({ engine, model }: Choices): Promise<void> {
  if (engine === 'fake') return
  try {
    await resolveModel(model, { pull: false })
  } catch {
    const bin = fileURLToPath(new URL('../bin/prefixd', import.meta.url))
    const stdio = ['inherit', process.stderr, 'inherit'] as const
    const { status } = spawnSync('sh', [bin, 'models', 'pull', model], { stdio: [...stdio] })
    if (status !== 0) throw new Error(`The model ${model} could not be pulled.`)
  }
}
