/** Getting a model onto this disk, with its progress on stderr. */
import { type CliContext, type ModelsDoor, style, writeLines } from './context.ts'
import { Interrupted } from './failure.ts'
import { progressLine } from './render/progress.ts'
import { printable } from './render/text.ts'

type PullOptions = NonNullable<Parameters<ModelsDoor['pullModel']>[1]>

export const loadModels = (): Promise<ModelsDoor> => import('../models/index.ts')

/** Finds what `spec` names, and pulls it when it is in no place of this disk. */
export async function ensureModel(
  context: CliContext,
  spec: string,
  signal: AbortSignal,
): Promise<void> {
  const { resolveModel } = await context.loadModels()
  await withProgress(context, spec, signal, (options) =>
    resolveModel(spec, { ...options, pull: true }),
  )
}

/** Runs a pull. Rejects with `Interrupted` when the signal ended it. */
export async function withProgress<T>(
  context: CliContext,
  label: string,
  signal: AbortSignal,
  pull: (options: PullOptions) => Promise<T>,
): Promise<T> {
  const line = progressLine(context.err, `pulling ${label}`, context.now)
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
