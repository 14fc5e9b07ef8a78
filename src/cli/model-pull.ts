/** Getting a model onto this disk, with its progress on stderr. */
import type { Config } from '../config/schema.ts'
import type { ModelKind } from '../models/index.ts'
import { type CliContext, type ModelsDoor, style, writeLines } from './context.ts'
import { Interrupted } from './failure.ts'
import { progressLine } from './render/progress.ts'
import { printable } from './render/text.ts'

type PullOptions = NonNullable<Parameters<ModelsDoor['pullModel']>[1]>
type Shown = Required<Pick<PullOptions, 'around' | 'signal' | 'onProgress' | 'onNotice'>>

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

/** Runs a pull, or something as long. Rejects with `Interrupted` when the signal ended it. */
export async function withProgress<T>(
  context: CliContext,
  label: string,
  signal: AbortSignal,
  pull: (options: Shown) => Promise<T>,
): Promise<T> {
  const line = progressLine(context.err, label, context.now)
  try {
    return await pull({
      around: context.around,
      signal,
      onProgress: line.update,
      onNotice: (sentence) => {
        line.end()
        writeLines(context.err, [
          `${style(context.err, 'yellow', 'note')}   ${printable(sentence)}`,
        ])
      },
    })
  } catch (error) {
    throw signal.aborted ? new Interrupted() : error
  } finally {
    line.end()
  }
}
