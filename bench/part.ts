/** What one part of the bench gets and gives. Types only. */
import type { Scratch } from './scratch-folder.ts'
import type { Choices } from './settings.ts'

export interface PartOptions {
  readonly choices: Choices
  readonly scratch: Scratch
  /** Few repetitions of little work: proves that the part runs, not how fast anything is. */
  readonly quick: boolean
  readonly progress: (line: string) => void
}

/** One measured figure beside its limit, which was measured in the same run, in turn with it. */
export interface Figure {
  /** Stable, for programs, e.g. `restore_over_memcpy`. */
  readonly id: string
  readonly what: string
  readonly value: number
  readonly unit: 'ms' | 'GB/s' | 'tokens/s' | ''
  /** The limit beside it, in the same unit; null where the figure is promised as it is. */
  readonly limit: { readonly what: string; readonly value: number } | null
  /** `value ÷ limit`, as the median of pairs; equal to `value` where there is no limit. */
  readonly ratio: number
  readonly promise: { readonly bound: 'at least' | 'at most'; readonly value: number } | null
}

export type Part = (options: PartOptions) => Promise<readonly Figure[]>
