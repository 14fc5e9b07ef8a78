/**
 * A trace with the shape of Mooncake's conversation trace (FAST 2025, kvcache-ai/Mooncake,
 * `FAST25-release/traces/conversation_trace.jsonl`), which this repository does not contain.
 *
 * The figures below were taken from that trace, as quantiles: when chats begin, how long their
 * first prompts are, whether and when they go on, and by how much they grow. Chats begin at
 * random; every prompt begins with the same block; most next turns go on where the last prompt
 * ended, some change an earlier message, a few repeat the prompt. Nothing else of the trace is
 * imitated.
 */
import { createRandom, type Random } from './random.ts'

export interface ConversationRequest {
  /** Milliseconds from the beginning, in steps of three seconds as in the original. */
  readonly timestamp: number
  readonly input_length: number
  readonly output_length: number
  readonly hash_ids: readonly number[]
}

export interface ConversationOptions {
  readonly seed: number
  /** About so many, never more. The original has 12,031 in 59 minutes. */
  readonly requests: number
}

export const traceBlockTokens = 512
const stepMs = 3000
const originalRequests = 12_031
const originalMs = 3_537_000
/** Chats that begin in the original, for each of its requests. */
const chatShare = 0.62

type Quantiles = readonly (readonly [share: number, value: number])[]

const firstPromptTokens: Quantiles = [
  [0, 890],
  [0.05, 897],
  [0.1, 905],
  [0.25, 1336],
  [0.5, 5264],
  [0.75, 13_056],
  [0.9, 25_561],
  [0.95, 40_000],
  [0.99, 95_000],
  [1, 122_000],
]
const answerTokens: Quantiles = [
  [0, 5],
  [0.05, 10],
  [0.1, 24],
  [0.25, 156],
  [0.5, 350],
  [0.75, 472],
  [0.9, 597],
  [0.95, 698],
  [0.99, 1120],
  [1, 2000],
]
/** What a next prompt has beside the last prompt and its answer. */
const addedTokens: Quantiles = [
  [0, 4],
  [0.25, 10],
  [0.5, 28],
  [0.75, 384],
  [0.9, 4289],
  [0.95, 7046],
  [0.99, 17_091],
  [1, 40_000],
]
const pauseSeconds: Quantiles = [
  [0, 9],
  [0.05, 29],
  [0.1, 42],
  [0.25, 75],
  [0.5, 148],
  [0.75, 365],
  [0.9, 680],
  [0.95, 850],
  [0.99, 1600],
  [1, 3300],
]
/** Pauses of one chat are alike: by their logarithms two in a row correlate by 0.31. */
const keepsPace = Math.sqrt(0.31)
/** How many chats go on behind their first, second, … prompt; the last figure is for all others. */
const goesOn = [0.38, 0.47, 0.56, 0.64, 0.71, 0.75, 0.78, 0.8]
const repeatsPrompt = 0.025
/** First prompts that are longer than this go on less often. */
const longTokens = 12_288
const longGoesOn = 0.28
const contextTokens = 126_000
const changesEarlier = 0.16

/** The value at this share, between two known ones by their logarithms. */
function valueAt(quantiles: Quantiles, share: number): number {
  const above = Math.max(
    1,
    quantiles.findIndex(([known]) => known >= share),
  )
  const [lowShare, low] = quantiles[above - 1] ?? [0, 1]
  const [highShare, high] = quantiles[above] ?? [1, low]
  const part = (share - lowShare) / (highShare - lowShare)
  return Math.exp(Math.log(low) + part * (Math.log(high) - Math.log(low)))
}

interface Turn {
  readonly atMs: number
  readonly chat: Chat
}

interface Chat {
  inputTokens: number
  outputTokens: number
  /** The blocks of its last prompt; ids that no other chat has, but for the first one. */
  blocks: number[]
}

export function conversationTrace(options: ConversationOptions): ConversationRequest[] {
  const random = createRandom(options.seed)
  const lengthMs = (originalMs * options.requests) / originalRequests
  const chats = Math.round(options.requests * chatShare)
  const turns = Array.from({ length: chats }, () => random.next() * lengthMs)
    .sort((a, b) => a - b)
    .flatMap((atMs) => chatFrom(atMs, lengthMs, random))
    .sort((a, b) => a.atMs - b.atMs)
    .slice(0, options.requests)
  const ids = { next: 1 }
  return turns.map(({ atMs, chat }) => {
    ask(chat, ids, random)
    return {
      timestamp: Math.floor(atMs / stepMs) * stepMs,
      input_length: chat.inputTokens,
      output_length: chat.outputTokens,
      hash_ids: [...chat.blocks],
    }
  })
}

/** When a chat that begins there asks, up to the end of the trace. */
function chatFrom(beginsAtMs: number, endMs: number, random: Random): Turn[] {
  const inputTokens = Math.round(valueAt(firstPromptTokens, random.next()))
  const chat: Chat = { inputTokens, outputTokens: 0, blocks: [] }
  const pace = random.next()
  const turns: Turn[] = []
  for (let atMs = beginsAtMs; atMs < endMs; ) {
    turns.push({ atMs, chat })
    const isLongFirst = turns.length === 1 && inputTokens > longTokens
    const usual = goesOn[Math.min(turns.length, goesOn.length) - 1] as number
    if (random.next() >= (isLongFirst ? longGoesOn : usual)) break
    const share = random.next() < keepsPace ? pace : random.next()
    atMs += valueAt(pauseSeconds, share) * 1000
  }
  return turns
}

/** Makes the chat's next prompt out of its last one. */
function ask(chat: Chat, ids: { next: number }, random: Random): void {
  const { inputTokens, outputTokens, blocks } = chat
  const kind = random.next()
  const added = Math.round(valueAt(addedTokens, random.next()))
  chat.outputTokens = Math.round(valueAt(answerTokens, random.next()))
  const isFirst = blocks.length === 0
  if (!isFirst && kind < repeatsPrompt) return
  if (!isFirst) chat.inputTokens = Math.min(contextTokens, inputTokens + outputTokens + added)
  // The last block of a prompt that ends inside it is another one when the prompt goes on.
  const wholeBlocks = Math.floor(inputTokens / traceBlockTokens)
  const isChanged = kind < repeatsPrompt + changesEarlier && wholeBlocks > 2
  const keptBlocks = isChanged ? 2 + (wholeBlocks - 2) * random.next() ** 2.5 : wholeBlocks
  const kept = isFirst ? [0] : blocks.slice(0, Math.max(1, Math.floor(keptBlocks)))
  const count = Math.ceil(chat.inputTokens / traceBlockTokens)
  while (kept.length < count) kept.push(ids.next++)
  chat.blocks = kept
}
