/** An answer's call in the shape that clients of `functions` read. Pure. */
import type OpenAI from 'openai'
import type { Wording } from './deliver.ts'

type Choice = OpenAI.ChatCompletion.Choice
type ChunkChoice = OpenAI.ChatCompletionChunk.Choice
interface Reply<Each> {
  readonly choices: readonly Each[]
}

/** `wording` speaks of tools; what it says of calls is said in the old words. */
export function withFunctionCalls(wording: Wording): Wording {
  const { toolCall, toolArguments } = wording
  return {
    ...wording,
    ...(toolCall ? { toolCall: (index, call) => toOldChunk(toolCall(index, call)) } : {}),
    ...(toolArguments
      ? { toolArguments: (index, piece) => toOldChunk(toolArguments(index, piece)) }
      : {}),
    finish: (...words) => toOldChunk(wording.finish(...words)),
    whole: (...words) => toOldReply(wording.whole(...words)),
  }
}

function toOldChunk(chunk: object): object {
  const { choices } = chunk as Reply<ChunkChoice>
  return { ...chunk, choices: choices.map(toOldChunkChoice) }
}

function toOldChunkChoice(choice: ChunkChoice): ChunkChoice {
  const { tool_calls: calls, ...delta } = choice.delta
  const called = calls?.[0]?.function
  return {
    ...choice,
    delta: called === undefined ? delta : { ...delta, function_call: called },
    finish_reason: toOldReason(choice.finish_reason),
  }
}

function toOldReply(reply: object): object {
  const { choices } = reply as Reply<Choice>
  return { ...reply, choices: choices.map(toOldChoice) }
}

function toOldChoice(choice: Choice): Choice {
  const { tool_calls: calls, ...message } = choice.message
  const [call] = calls ?? []
  return {
    ...choice,
    message: call?.type === 'function' ? { ...message, function_call: call.function } : message,
    finish_reason: toOldReason(choice.finish_reason),
  }
}

const toOldReason = <Reason extends ChunkChoice['finish_reason']>(reason: Reason) =>
  reason === 'tool_calls' ? ('function_call' as const) : reason
