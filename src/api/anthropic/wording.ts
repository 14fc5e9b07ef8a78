/** An answer in Anthropic's words: as one message, or as the events of a stream. */
import type Anthropic from '@anthropic-ai/sdk'
import type { FinishReason, Receipt } from '../../pipeline/types.ts'
import type { Answer, Outcome } from '../answer.ts'
import { brokenPromise } from '../answer.ts'
import type { CacheObjectJson } from '../native/schema.ts'
import { toCacheObject } from '../openai/usage.ts'
import { eventFrame } from '../sse.ts'
import { blockWriter, contentOf } from './blocks.ts'
import { type Ttl, toDeltaUsage, toUsage } from './usage.ts'

type Extended<T> = T & { readonly cache?: CacheObjectJson }

/** What a message says before it says anything. */
export interface MessageHead {
  readonly id: string
  readonly model: string
  readonly ttl: Ttl
  /** Called once, when it is confirmed what was restored. */
  diagnose(counts: Counts): Anthropic.Diagnostics | null
}

type Counts = Pick<Receipt, 'promptTokens' | 'restoredTokens'>

interface Finish {
  readonly finishReason: FinishReason
  readonly stopString: string | null
}

const stopReasons = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
} as const satisfies Record<FinishReason, Anthropic.StopReason>

const stopOf = ({ finishReason, stopString }: Finish) => ({
  stop_reason: stopString === null ? stopReasons[finishReason] : ('stop_sequence' as const),
  stop_sequence: stopString,
})

const messageOf = ({ id, model, diagnose }: MessageHead, counts: Counts) =>
  ({
    id,
    type: 'message',
    role: 'assistant',
    model,
    container: null,
    diagnostics: diagnose(counts),
    stop_details: null,
  }) as const

export function toMessage(head: MessageHead, outcome: Outcome) {
  return {
    ...messageOf(head, outcome.receipt),
    content: contentOf(outcome),
    ...stopOf(outcome),
    usage: toUsage(outcome.receipt, head.ttl),
    cache: toCacheObject(outcome.receipt),
  } satisfies Extended<Anthropic.Message>
}

/** Carries what the engine has confirmed so far: the prompt and what was restored of it. */
function messageStart(head: MessageHead, counts: Counts) {
  const soFar = { ...counts, savedTokens: 0, generatedTokens: 0 }
  return {
    type: 'message_start',
    message: {
      ...messageOf(head, counts),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: toUsage(soFar, head.ttl),
    },
  } satisfies Anthropic.RawMessageStartEvent
}

function messageDelta(finish: Finish, receipt: Receipt) {
  return {
    type: 'message_delta',
    delta: { ...stopOf(finish), container: null, stop_details: null },
    usage: toDeltaUsage(receipt),
    cache: toCacheObject(receipt),
  } satisfies Extended<Anthropic.RawMessageDeltaEvent>
}

/**
 * `message_start`, the blocks, `message_delta` with all figures, `message_stop`. The first one
 * waits until the restore is confirmed, the last but one until what was saved is.
 */
export async function* messageFrames(
  head: MessageHead,
  opening: Promise<Answer>,
): AsyncGenerator<string> {
  const { planned, events } = await opening
  const blocks = blockWriter()
  let isStarted = false
  let finish: Finish | null = null
  for await (const event of events) {
    if (!isStarted) {
      isStarted = true
      const restoredTokens = event.type === 'restored' ? event.restoredTokens : 0
      const { promptTokens } = planned.plan
      yield eventFrame(messageStart(head, { promptTokens, restoredTokens }))
    }
    for (const each of blocks.write(event)) yield eventFrame(each)
    if (event.type === 'finish') {
      finish = { finishReason: event.finishReason, stopString: event.stopString ?? null }
      for (const each of blocks.end()) yield eventFrame(each)
    }
    if (event.type === 'receipt') {
      if (finish === null) break
      yield eventFrame(messageDelta(finish, event.receipt))
      yield eventFrame({ type: 'message_stop' } satisfies Anthropic.RawMessageStopEvent)
      return
    }
  }
  throw brokenPromise('it ended without a receipt')
}
