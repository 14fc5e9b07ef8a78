/** Limits of one supervised worker; names and values as in src/config/limits.ts. */
import type { FrameLimits } from './frames.ts'

export interface EngineLimits extends FrameLimits {
  /** Requests that wait for a sequence, or calls that wait for the worker; one more is refused. */
  readonly queuedRequests: number
  /** From the start of the process to its `ready`. */
  readonly workerReadyMs: number
  /** Silence of a worker that owes an answer. */
  readonly workerSilenceMs: number
  readonly workerRestartsPerWindow: number
  readonly workerRestartWindowMs: number
  readonly workerBackoffMinMs: number
  readonly workerBackoffMaxMs: number
}

/** How long an idle worker may take to close its model before it is killed. */
export const workerExitMs = 5_000

/** The end of a worker's output that is kept for error messages. */
export const logTailBytes = 16 * 1024

/** Lines of it that an error message shows. */
export const logTailLines = 8

/** How long the pipes of an ended process are read; a child of its own may hold them open. */
export const lastWordsMs = 500

/** Repetitions that one `{m,n}` of a grammar may ask for: llama.cpp's own limit. */
export const grammarRepetitionsMax = 2000

/**
 * Characters of a grammar. Its text may be longer than its symbols, with comments and long names,
 * but reading it must not take seconds: the service's only thread does it.
 */
export const grammarCharsMax = 500_000

/** Symbols of a grammar, with its repetitions written out. */
export const grammarSymbolsMax = 200_000

/** Groups inside of each other. */
export const grammarNestingMax = 256

/** Ways in which a text may be read so far, and rules on the way there. */
export const grammarStacksMax = 100_000

/** States of a grammar that are remembered; then all but the present one are forgotten. */
export const grammarStatesMax = 50_000

/** Steps that one token may take to find; a second or so, and thousands in ordinary grammars. */
export const grammarStepsMax = 5_000_000

/** Places in a grammar whose tokens are remembered; each takes 4 bytes a token. */
export const heldTokensRemembered = 64
