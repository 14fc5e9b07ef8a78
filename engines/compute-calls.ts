/** The calls of the engine for one request: in turn, timed, and ended by the request's signal. */
import type { TokenIds } from '../cache/types.ts'
import { EngineError } from './errors.ts'
import type { Turns } from './turns.ts'
import type { EngineSampler, EngineSequence, GenerateInput } from './types.ts'

export interface Sampled {
  readonly token: number
  /** Those that the token was sampled from, where the request wants to hear of them. */
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
  const wantsLogits = input.logits === true || typeof input.topLogprobs === 'number'

  const onAbort = (): void => {
    stopped = true
    if (computing) sequence.abort()
  }
  signal.addEventListener('abort', onAbort)

  /** Before the first call, so that a grammar that is refused costs no prefill. */
  const openSampler = (): EngineSampler | null => {
    if (input.maxTokens > 0) sampler ??= sequence.createSampler(input)
    return sampler
  }

  return {
    get stopped() {
      return stopped
    },
    compute: (tokens, wantLogits) =>
      turns.take(async () => {
        if (stopped) return null
        const sampling = openSampler()
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
        if (!wantLogits || sampling === null) return { callMs: msSince(startedAt), sampled: null }
        const logits = wantsLogits ? sequence.logits() : null
        const sampled = { token: sampling.sample(), logits }
        return { callMs: msSince(startedAt), sampled }
      }),
    close() {
      signal.removeEventListener('abort', onAbort)
      sampler?.close()
    },
  }
}

const msSince = (startedAt: number): number => performance.now() - startedAt

function checkCount(sequence: EngineSequence, expected: number): void {
  if (sequence.tokenCount === expected) return
  throw new EngineError(
    'PREFIXD_E_ENGINE_COMPUTE',
    `The engine counts ${sequence.tokenCount} tokens after a call that had to end at ` +
      `${expected}. The sequence is cleared; send the request again.`,
  )
}
