/** Something long with its progress on stderr, which ends as soon as somebody wants it to. */
import type { Surroundings } from '../config/paths.ts'
import { type CliContext, style, writeLines } from './context.ts'
import { Interrupted } from './failure.ts'
import { printable } from './render/text.ts'

/** A line of progress in place. */
interface Line<Progress> {
  update(progress: Progress): void
  end(): void
}

export interface LongStep<Progress> {
  readonly around: Surroundings
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
  readonly onNotice: (sentence: string) => void
}

/** Rejects with `Interrupted` when the signal ended it. */
export async function runLongStep<Progress, T>(
  { err, around }: CliContext,
  line: Line<Progress>,
  signal: AbortSignal,
  run: (step: LongStep<Progress>) => Promise<T>,
): Promise<T> {
  try {
    return await run({
      around,
      signal,
      onProgress: line.update,
      onNotice: (sentence) => {
        line.end()
        writeLines(err, [`${style(err, 'yellow', 'note')}   ${printable(sentence)}`])
      },
    })
  } catch (error) {
    throw signal.aborted ? new Interrupted() : error
  } finally {
    line.end()
  }
}
