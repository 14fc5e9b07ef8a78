/** Getting a model onto this disk, with its progress on stderr. */
import type { Config } from '../config/schema.ts'
import { type CliContext, type ModelsDoor, style, writeLines } from './context.ts'
import { Interrupted } from './failure.ts'
import { progressLine } from './render/progress.ts'
import { printable } from './render/text.ts'

type PullOptions = NonNullable<Parameters<ModelsDoor['pullModel']>[1]>
type Shown = Required<Pick<PullOptions, 'around' | 'signal' | 'onProgress' | 'onNotice'>>

export const loadModels = (): Promise<ModelsDoor> => import('../models/index.ts')

/** Finds the model of its engine's kind, and pulls it when it is in no place of this disk. */
export async function ensureModel(
  context: CliContext,
  { engine, model }: Pick<Config, 'engine' | 'model'>,
  signal: AbortSignal,
): Promise<void> {
  const { kindOfEngine, resolveModel } = await context.loadModels()
  const kind = kindOfEngine(engine)
  await withProgress(context, `pulling ${model}`, signal, (options) =>
    resolveModel(model, { ...options, pull: true, ...(kind === null ? {} : { kind }) }),
  )
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
