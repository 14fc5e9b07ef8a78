/**
 * A request is rendered and tokenised by the worker's own template: only tokens that the engine
 * itself would compute may name a block.
 */
import type { TokenIds } from '../../cache/types.ts'
import type { Engine, ModelInfo } from '../../engines/types.ts'
import { PrefixdError } from '../errors.ts'
import type { GenerateRequest, Prompt } from './types.ts'

export interface TokenizedPrompt {
  readonly info: ModelInfo
  readonly tokens: TokenIds
  /** Tokens that the answer may have: what was asked for, or what the context has room for. */
  readonly maxTokens: number
}

/** Waits for the worker to be ready. Throws where the engine could not compute this prompt. */
export async function tokenize(
  engine: Engine,
  { prompt, maxTokens }: Pick<GenerateRequest, 'prompt' | 'maxTokens'>,
): Promise<TokenizedPrompt> {
  const info = await engine.ready()
  const tokens = await tokensOf(engine, prompt)
  return { info, tokens, maxTokens: roomForAnswer(tokens, info, maxTokens, prompt.kind) }
}

/** Token ids of a prompt, as the worker makes them. */
export async function tokensOf(engine: Engine, prompt: Prompt): Promise<TokenIds> {
  if (prompt.kind === 'tokens') return prompt.tokens
  if (prompt.kind === 'text') {
    return engine.tokenize(prompt.text, { addSpecial: true, parseSpecial: true })
  }
  const text = await engine.render(prompt.input)
  // The template writes the beginning-of-text token itself where the model wants one.
  return engine.tokenize(text, { addSpecial: false, parseSpecial: true })
}

function roomForAnswer(
  tokens: TokenIds,
  info: ModelInfo,
  maxTokens: number | null,
  kind: Prompt['kind'],
): number {
  const field = kind === 'chat' ? 'messages' : 'prompt'
  if (tokens.length === 0) {
    throw new PrefixdError('PREFIXD_E_INVALID_VALUE', `${field} gives an empty prompt.`, {
      field,
      next: 'Send at least one token.',
    })
  }
  const outside = tokens.findIndex((token) => token >= info.vocabularySize)
  if (outside >= 0) {
    const most = info.vocabularySize - 1
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `prompt[${outside}] is token ${tokens[outside]}; this model has tokens 0 to ${most}.`,
      { field: `prompt[${outside}]`, next: 'Ask POST /tokenize for the model’s own token ids.' },
    )
  }
  // One place stays free for the answer's first token, unless none is wanted.
  const needed = maxTokens === 0 ? 0 : 1
  const room = info.contextTokens - tokens.length
  if (room < needed) {
    throw new PrefixdError(
      'PREFIXD_E_CONTEXT_LENGTH',
      `The prompt has ${tokens.length} tokens; the context is ${info.contextTokens} tokens.`,
      { field, next: 'Shorten the prompt, or start prefixd with a larger --ctx.' },
    )
  }
  return maxTokens === null ? room : Math.min(maxTokens, room)
}
