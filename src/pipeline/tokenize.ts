/**
 * A request is rendered and tokenised by the worker's own template: only tokens that the engine
 * itself would compute may name a block.
 */
import type { PromptMarks } from '../../cache/index.ts'
import type { TokenIds } from '../../cache/types.ts'
import { checkGrammar } from '../../engines/index.ts'
import type { Engine, ModelInfo, TokenBias } from '../../engines/types.ts'
import { answerFormatOf } from '../chat/answer/format.ts'
import { answerGrammar, pathOf } from '../chat/grammar/answer-grammar.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import { requireText } from './capabilities.ts'
import { promptMarks } from './prompt-marks.ts'
import { render } from './render.ts'
import type { GenerateRequest, Prompt } from './types.ts'

export interface TokenizedPrompt {
  readonly tokens: TokenIds
  /** Where others will leave it, if the layout must know. */
  readonly marks: PromptMarks
  /** The end of a chat's rendered text, where a template may have begun the answer; else ''. */
  readonly promptEnd: string
  /** Tokens that the answer may have: what was asked for, or what the context has room for. */
  readonly maxTokens: number
  /** What the answer's constraint is in this model's own markup; null without one. */
  readonly grammar: string | null
}

/** Throws where the engine could not compute this prompt. */
export async function tokenize(
  engine: Engine,
  info: ModelInfo,
  request: Pick<GenerateRequest, 'prompt' | 'maxTokens' | 'constraint' | 'logitBias'>,
): Promise<TokenizedPrompt> {
  const { prompt, maxTokens, logitBias = [] } = request
  requireText(info)
  checkBias(logitBias, info)
  const { tokens, text } = await tokenizePrompt(engine, info, prompt)
  const promptEnd = text?.slice(-promptEndLength) ?? ''
  const grammar = grammarFor(request, promptEnd, info.chatTemplate)
  const room = roomForAnswer(tokens, info, maxTokens, prompt.kind)
  const marks = await promptMarks(engine, info, { prompt, tokens, text })
  return { tokens, marks, promptEnd, maxTokens: room, grammar }
}

/** Throws where the constraint cannot be held to: nothing has been computed yet. */
function grammarFor(
  { prompt, constraint = null }: Pick<GenerateRequest, 'prompt' | 'constraint'>,
  promptEnd: string,
  template: string | null,
): string | null {
  if (constraint === null) return null
  if (prompt.kind === 'chat' && prompt.input.goesOn === true) {
    throw new PrefixdError(
      'PREFIXD_E_UNSUPPORTED_PARAMETER',
      'An answer that has begun in the last message cannot be held to a format or to calls.',
      { field: 'messages', next: 'End with a message of the user.' },
    )
  }
  // By itself first, so that errors have the client's own lines.
  if (constraint.text?.kind === 'grammar') checkOwnGrammar(constraint.text)
  const format = prompt.kind === 'chat' ? answerFormatOf(template) : null
  const grammar = answerGrammar(constraint, { format, promptEnd, limits })
  // The engine refuses it too, but only when the client's headers are out already.
  try {
    checkGrammar(grammar)
  } catch (cause) {
    const field = pathOf(constraint)
    throw new PrefixdError('PREFIXD_E_SCHEMA', `${field} needs a grammar that is too large.`, {
      field,
      next: 'Leave something out, or repeat less.',
      cause,
    })
  }
  return grammar
}

/** The engine names the line and column, and cannot know the field. */
function checkOwnGrammar({ grammar, path }: { grammar: string; path: string }): void {
  try {
    checkGrammar(grammar)
  } catch (cause) {
    const { message } = cause as Error
    throw new PrefixdError('PREFIXD_E_ENGINE_GRAMMAR', message, { field: path, cause })
  }
}

/** More than any template writes behind the last message. */
const promptEndLength = 64

/** Token ids of a prompt, as the worker makes them. */
export async function tokensOf(engine: Engine, prompt: Prompt): Promise<TokenIds> {
  return (await tokenizePrompt(engine, await engine.ready(), prompt)).tokens
}

/** With the rendered text of a chat. */
async function tokenizePrompt(
  engine: Engine,
  info: ModelInfo,
  prompt: Prompt,
): Promise<{ readonly tokens: TokenIds; readonly text: string | null }> {
  if (prompt.kind === 'tokens') return { tokens: prompt.tokens, text: null }
  if (prompt.kind === 'gap') return { tokens: await gapTokens(engine, info, prompt), text: null }
  if (prompt.kind === 'text') {
    const whole = { addSpecial: true, parseSpecial: true }
    return { tokens: await engine.tokenize(prompt.text, whole), text: null }
  }
  const text = await render(engine, info, prompt.input)
  // The template writes the beginning-of-text token itself where the model wants one.
  const tokens = await engine.tokenize(text, { addSpecial: false, parseSpecial: true })
  return { tokens, text }
}

/** Prefix, suffix, middle: the order of llama-server's `/infill`, and of most models. */
async function gapTokens(
  engine: Engine,
  { gap }: ModelInfo,
  { text, suffix }: Extract<Prompt, { kind: 'gap' }>,
): Promise<TokenIds> {
  if (gap === null) {
    throw new PrefixdError(
      'PREFIXD_E_UNSUPPORTED_PARAMETER',
      'suffix is not supported by this model: its vocabulary has no tokens for filling a gap.',
      { field: 'suffix', next: 'Leave it out, or serve a code model that has them.' },
    )
  }
  const plain = { addSpecial: false, parseSpecial: false }
  const beginning = await engine.tokenize('', { ...plain, addSpecial: true })
  const [before, after] = await Promise.all([
    engine.tokenize(text, plain),
    engine.tokenize(suffix, plain),
  ])
  const parts = [beginning, [gap.prefix], before, [gap.suffix], after, [gap.middle]]
  return Uint32Array.from(parts.flatMap((part) => [...part]))
}

function checkBias(biases: readonly TokenBias[], { vocabularySize }: ModelInfo): void {
  const outside = biases.find(({ token }) => token >= vocabularySize)
  if (outside === undefined) return
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `logit_bias names token ${outside.token}; this model has tokens 0 to ${vocabularySize - 1}.`,
    { field: 'logit_bias', next: 'Ask POST /tokenize for the model’s own token ids.' },
  )
}

function roomForAnswer(
  tokens: TokenIds,
  info: ModelInfo,
  maxTokens: number | null,
  kind: Prompt['kind'],
): number {
  // One place stays free for the answer's first token, unless none is wanted.
  const spare = maxTokens === 0 ? 0 : 1
  checkTokens(tokens, info, { field: kind === 'chat' ? 'messages' : 'prompt', spare })
  const room = info.contextTokens - tokens.length
  return maxTokens === null ? room : Math.min(maxTokens, room)
}

/** Throws, naming `field`, unless the tokens are the model's and leave `spare` places. */
export function checkTokens(
  tokens: TokenIds,
  info: ModelInfo,
  { field, spare }: { readonly field: string; readonly spare: number },
): void {
  if (tokens.length === 0) {
    throw new PrefixdError('PREFIXD_E_INVALID_VALUE', `${field} gives an empty prompt.`, {
      field,
      next: 'Send at least one token.',
    })
  }
  checkVocabulary(tokens, info, field)
  if (info.contextTokens - tokens.length < spare) {
    throw new PrefixdError(
      'PREFIXD_E_CONTEXT_LENGTH',
      // Claude Code and opencode know these words, and answer them with a compaction.
      `The prompt is too long: ${tokens.length} tokens > ${info.contextTokens} maximum.`,
      { field, next: shorterOrLonger(info) },
    )
  }
}

/** A larger --ctx helps up to what the model was trained for; 0: nobody knows how much that is. */
function shorterOrLonger({ contextTokens, trainedContextTokens, fingerprint }: ModelInfo): string {
  if (trainedContextTokens === 0 || contextTokens < trainedContextTokens) {
    return 'Shorten the prompt, or start prefixd with a larger --ctx.'
  }
  // Only this engine scales ropes; MLX follows the model's own config.json.
  const beyond =
    fingerprint.engine === 'llama.cpp'
      ? ', or start prefixd with --rope-scaling yarn and a larger --ctx'
      : ''
  return `Shorten the prompt: the model was trained for no more${beyond}.`
}

/** Throws, naming the place in `field`, unless the model has all these tokens. */
export function checkVocabulary(tokens: TokenIds, info: ModelInfo, field: string): void {
  const outside = tokens.findIndex((token) => token >= info.vocabularySize)
  if (outside < 0) return
  const most = info.vocabularySize - 1
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `${field}[${outside}] is token ${tokens[outside]}; this model has tokens 0 to ${most}.`,
    { field: `${field}[${outside}]`, next: 'Ask POST /tokenize for the model’s own token ids.' },
  )
}
