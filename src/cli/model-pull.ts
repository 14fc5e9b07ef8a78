/** Getting a model onto this disk, with its progress on stderr. */
import type { Config } from '../config/schema.ts'
import { kindOf } from '../errors.ts'
import type { ModelKind } from '../models/index.ts'
import type { CliContext, ModelsDoor } from './context.ts'
import { type LongStep, runLongStep } from './long-step.ts'
import { type Progress, progressLine } from './render/progress.ts'

export const loadModels = (): Promise<ModelsDoor> => import('../models/index.ts')

/** Finds what is to be served, pulls what is in no place of this disk, and tells the kinds. */
export async function ensureModels(
  context: CliContext,
  { models, engine }: Pick<Config, 'models' | 'engine'>,
  signal: AbortSignal,
): Promise<ModelKind[]> {
  // It computes without weights.
  if (engine === 'fake') return []
  const { kindOfEngine, resolveModel } = await context.loadModels()
  const kind = kindOfEngine(engine)
  const kinds: ModelKind[] = []
  for (const spec of models) {
    const found = await withProgress(context, `pulling ${spec}`, signal, (options) =>
      resolveModel(spec, { ...options, pull: true, ...(kind === null ? {} : { kind }) }),
    )
    kinds.push(found.kind)
  }
  return kinds
}

/** Rejects with what is wrong with models that are on this disk, or cannot come there. */
export async function checkModels(
  context: CliContext,
  models: readonly string[],
  kind: ModelKind,
): Promise<void> {
  const { canBePulled, resolveModel } = await context.loadModels()
  for (const spec of models) {
    try {
      await resolveModel(spec, { around: context.around, pull: false, kind })
    } catch (error) {
      const isMissing = kindOf(error).prefixdCode === 'PREFIXD_E_MODEL_NOT_FOUND'
      if (!isMissing || !canBePulled(spec)) throw error
    }
  }
}

/** Runs a pull, or something as long. Rejects with `Interrupted` when the signal ended it. */
export function withProgress<T>(
  context: CliContext,
  label: string,
  signal: AbortSignal,
  pull: (step: LongStep<Progress>) => Promise<T>,
): Promise<T> {
  return runLongStep(context, progressLine(context.err, label, context.now), signal, pull)
}
