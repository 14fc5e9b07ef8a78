/** `POST /v1/completions`: text, several texts, or token ids as they are. */
import { randomUUID } from 'node:crypto'
import type OpenAI from 'openai'
import { readOpenFormat } from '../../chat/text-format.ts'
import { PrefixdError } from '../../errors.ts'
import type { FinishReason, Prompt, Service, TextToken } from '../../pipeline/types.ts'
import type { ApiContext, Server } from '../context.ts'
import { chooseModel, systemFingerprint } from '../model-choice.ts'
import type { CacheObjectJson } from '../native/schema.ts'
import { deliver, type Wording } from './deliver.ts'
import { toLegacyLogprobs } from './logprobs.ts'
import { readShared } from './request.ts'
import { type CompletionRequest, CompletionRequestSchema } from './schema.ts'
import { type Timings, toCacheObject, toTimings, toUsage } from './usage.ts'

type Extended<T> = T & { readonly cache?: CacheObjectJson; readonly timings?: Timings }

/** A stream's choices have no reason until their last chunk; the SDK's type knows only the last. */
type Chunk = Extended<
  Omit<OpenAI.Completion, 'choices' | 'usage'> & {
    readonly choices: readonly (Omit<OpenAI.CompletionChoice, 'finish_reason'> & {
      readonly finish_reason: OpenAI.CompletionChoice['finish_reason'] | null
    })[]
    readonly usage?: OpenAI.CompletionUsage | null
  }
>

/** OpenAI's default for this route. */
const defaultMaxTokens = 16

export function completionRoutes(server: Server, context: ApiContext): void {
  const { service } = context
  server.post(
    '/v1/completions',
    { schema: { body: CompletionRequestSchema } },
    async (request, reply) => {
      const { body } = request
      refuseCombinations(body)
      const card = chooseModel(service.models(), body.model)
      const includeUsage = body.stream_options?.include_usage === true
      const shared = readShared(body, request, 'completions')
      const text = readOpenFormat(body)
      const constraint = text === null ? null : { text, calls: null }
      const prompts = readPrompts(body)
      const requests = prompts.map((prompt, index) => ({
        ...shared,
        requestId: prompts.length === 1 ? request.id : `${request.id}-${index}`,
        model: card.id,
        prompt,
        hygiene: null,
        constraint,
        topLogprobs: body.logprobs ?? null,
        maxTokens: body.max_tokens ?? defaultMaxTokens,
      }))
      const echoes = body.echo === true ? await textsOf(service, card.id, prompts) : []
      // A prompt's choices follow each other.
      const echoOf = (index: number) => echoes[Math.floor(index / (body.n ?? 1))] ?? ''
      const wording = completionWording({
        model: card.id,
        fingerprint: () => systemFingerprint(service, card.id),
        includeUsage,
        body,
        echoOf,
      })
      const stream = body.stream === true
      return deliver(context, { requests, stream, includeUsage, wording }, request, reply)
    },
  )
}

/** Fields that are honoured, but not beside each other. */
function refuseCombinations({
  echo,
  logprobs,
  best_of: best,
  n,
  suffix,
  prompt,
}: CompletionRequest) {
  const refused = (field: string, why: string, next: string) =>
    new PrefixdError('PREFIXD_E_UNSUPPORTED_PARAMETER', why, { field, next })
  if (echo === true && logprobs != null) {
    const why = 'echo with logprobs is not supported: those of a prompt are not computed.'
    throw refused('echo', why, 'Leave one of them out.')
  }
  if (best != null && best !== 1 && best !== (n ?? 1)) {
    const why = 'best_of must be 1 or what n is: more answers than are sent are not generated.'
    throw refused('best_of', why, 'Ask for them with `n`, and choose.')
  }
  const isText = typeof prompt === 'string' || typeof prompt[0] === 'string'
  if (suffix && !isText) {
    throw refused('suffix', 'suffix needs a prompt that is text.', 'Send the prompt as text.')
  }
}

function textsOf(
  service: Service,
  model: string,
  prompts: readonly Prompt[],
): Promise<readonly string[]> {
  const texts = prompts.map((prompt) => {
    if (prompt.kind === 'tokens') return service.detokenize(model, prompt.tokens)
    return prompt.kind === 'chat' ? '' : prompt.text
  })
  return Promise.all(texts)
}

function readPrompts({ prompt, suffix }: CompletionRequest): readonly Prompt[] {
  const textPrompt = (text: string): Prompt =>
    suffix ? { kind: 'gap', text, suffix } : { kind: 'text', text }
  if (typeof prompt === 'string') return [textPrompt(prompt)]
  if (isTokens(prompt)) return [{ kind: 'tokens', tokens: Uint32Array.from(prompt) }]
  return prompt.map((each) =>
    typeof each === 'string'
      ? textPrompt(each)
      : { kind: 'tokens', tokens: Uint32Array.from(each) },
  )
}

const isTokens = (prompt: readonly (string | number | number[])[]): prompt is readonly number[] =>
  typeof prompt[0] === 'number'

/** A prompt that is no chat has no tools; the type knows only chats' reasons. */
const reasonOf = (reason: FinishReason) => (reason === 'tool_calls' ? 'stop' : reason)

interface CompletionStyle {
  readonly model: string
  readonly fingerprint: () => ReturnType<typeof systemFingerprint>
  readonly includeUsage: boolean
  readonly body: CompletionRequest
  /** The prompt's text where the client wants it in front of each choice; else ''. */
  readonly echoOf: (index: number) => string
}

function completionWording(style: CompletionStyle): Wording {
  const { model, fingerprint, includeUsage, body, echoOf } = style
  const begun = {
    id: `cmpl-${randomUUID()}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model,
  } as const
  const head = () => ({ ...begun, ...fingerprint() })
  const logprobsOf = (tokens: readonly TextToken[] = []) =>
    body.logprobs == null ? null : toLegacyLogprobs(tokens)
  const chunk = (
    index: number,
    text: string,
    reason: 'stop' | 'length' | null,
    logprobs: OpenAI.CompletionChoice['logprobs'] = null,
  ) =>
    ({
      ...head(),
      choices: [{ index, text, logprobs, finish_reason: reason }],
      ...(includeUsage ? { usage: null } : {}),
    }) satisfies Chunk
  return {
    opening: (index) => (echoOf(index) === '' ? null : chunk(index, echoOf(index), null)),
    text: (index, { text, tokens }) => chunk(index, text, null, logprobsOf(tokens)),
    finish: (index, reason) => chunk(index, '', reasonOf(reason)),
    usage: (receipt) =>
      ({
        ...head(),
        choices: [],
        usage: toUsage(receipt),
        cache: toCacheObject(receipt),
        timings: toTimings(receipt),
      }) satisfies Chunk,
    whole: (choices, receipt) =>
      ({
        ...head(),
        choices: choices.map(({ text, tokens, finishReason }, index) => ({
          index,
          text: echoOf(index) + text,
          logprobs: logprobsOf(tokens),
          finish_reason: reasonOf(finishReason),
        })),
        usage: toUsage(receipt),
        cache: toCacheObject(receipt),
        timings: toTimings(receipt),
      }) satisfies Extended<OpenAI.Completion>,
  }
}
