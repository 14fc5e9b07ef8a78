/** Which calls of the engine a prompt is computed in, and what a request must be for that. Pure. */
import type { ReuseMode } from '../cache/types.ts'
import { EngineError } from './errors.ts'
import type { GenerateInput, ModelInfo } from './types.ts'

export interface CallEnd {
  /** One past the last token of the call. */
  readonly to: number
  /** Must the sequence stand exactly there, so that its window and state can be exported? */
  readonly atBoundary: boolean
}

/** Where the call ends that begins at `from`: at the grid, a boundary, or the prompt's end. */
export function nextCallEnd(
  from: number,
  input: Pick<GenerateInput, 'tokens' | 'boundaries'>,
  blockTokens: number,
): CallEnd {
  const { tokens, boundaries = [] } = input
  const gridEnd = from - (from % blockTokens) + blockTokens
  const boundary = boundaries.find((position) => position > from) ?? Number.POSITIVE_INFINITY
  const to = Math.min(gridEnd, boundary, tokens.length)
  return { to, atBoundary: to === boundary }
}

/** Throws EngineError for what this sequence cannot compute, before anything is. */
export function checkInput(
  input: GenerateInput,
  standingTokens: number,
  worker: {
    readonly info: Pick<ModelInfo, 'contextTokens' | 'vocabularySize'>
    readonly blockTokens: number
    readonly reuse: ReuseMode
  },
): void {
  const { contextTokens, vocabularySize } = worker.info
  const promptTokens = input.tokens.length
  if (promptTokens > contextTokens) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_COMPUTE',
      `The prompt has ${promptTokens} tokens, the context holds ${contextTokens}. ` +
        'Send a shorter prompt or start with a larger --ctx.',
    )
  }
  const { computeFrom, logitBias = [], boundaries = [] } = input
  const outside = logitBias.find(({ token }) => token >= vocabularySize)
  if (outside !== undefined) {
    throw notOurs(`\`logitBias\` names token ${outside.token}; this model has ${vocabularySize}.`)
  }
  if (computeFrom >= promptTokens || computeFrom !== standingTokens) {
    throw notOurs(
      `\`computeFrom\` is ${computeFrom} with ${standingTokens} tokens in the sequence and ` +
        `${promptTokens} in the prompt; it must be what was restored, and less than the prompt.`,
    )
  }
  const wrong = boundaries.find((position, at) => {
    const isRising = position > (boundaries[at - 1] ?? computeFrom) && position < promptTokens
    return !isRising || (worker.reuse === 'block' && position % worker.blockTokens !== 0)
  })
  if (wrong !== undefined) {
    throw notOurs(
      `\`boundaries\` has ${wrong}; they must rise from ${computeFrom} to less than ` +
        `${promptTokens}, and be multiples of ${worker.blockTokens} with \`--reuse block\`.`,
    )
  }
}

const notOurs = (message: string): EngineError =>
  new EngineError('PREFIXD_E_ENGINE_PROTOCOL', message)
