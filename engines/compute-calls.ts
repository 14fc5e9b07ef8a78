/** The calls of the engine for one request: in turn, timed, and ended by the request's signal. */
import type { TokenIds } from '../cache/types.ts'
import { EngineError } from './errors.ts'
import type { Turns } from './turns.ts'
import type { EngineSampler, EngineSequence, GenerateInput } from './types.ts'

export interface Sampled {
  readonly token: number
  readonly logits: Float32Array | null
}

export interface ComputeCalls {
  /** Aborted, by the signal or by the engine: nothing is computed any more. */
  readonly stopped: boolean
  /**
   * One call of the engine, with the sampling that belongs to it: the next turn may be another
   * request's and replace the logits. Null: it was aborted and appended nothing.
   */
  compute(
    tokens: TokenIds,
    wantLogits: boolean,
  ): Promise<{ readonly callMs: number; readonly sampled: Sampled | null } | null>
  close(): void
}

export function createComputeCalls(
  sequence: EngineSequence,
  turns: Turns,
  input: GenerateInput,
  signal: AbortSignal,
): ComputeCalls {
  let sampler: EngineSampler | null = null
  let computing = false
  let stopped = signal.aborted

  const onAbort = (): void => {
    stopped = true
    if (computing) sequence.abort()
  }
  signal.addEventListener('abort', onAbort)

  const sample = (): Sampled => {
    sampler ??= sequence.createSampler(input.sampling, input.tokens)
    const logits = input.logits === true ? sequence.logits() : null
    return { token: sampler.sample(), logits }
  }

  return {
    get stopped() {
      return stopped
    },
    compute: (tokens, wantLogits) =>
      turns.take(async () => {
        if (stopped) return null
        const startedAt = performance.now()
        const end = sequence.tokenCount + tokens.length
        computing = true
        const result = await sequence.compute(tokens, wantLogits).finally(() => {
          computing = false
        })
        if (result === 'aborted') {
          stopped = true
          return null
        }
        checkCount(sequence, end)
        const sampled = wantLogits ? sample() : null
        return { callMs: performance.now() - startedAt, sampled }
      }),
    close() {
      signal.removeEventListener('abort', onAbort)
      sampler?.close()
    },
  }
}

function checkCount(sequence: EngineSequence, expected: number): void {
  if (sequence.tokenCount === expected) return
  throw new EngineError(
    'PREFIXD_E_ENGINE_COMPUTE',
    `The engine counts ${sequence.tokenCount} tokens after a call that had to end at ` +
      `${expected}. The sequence is cleared; send the request again.`,
  )
}
