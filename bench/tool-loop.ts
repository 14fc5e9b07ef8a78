/** A tool loop with `tool_choice: required`: every call is answered, and the model calls again. */
import { Compile } from 'typebox/schema'
import type { AgentTool } from './agent-tools.ts'
import type { Finding } from './findings.ts'
import type { Random } from './random.ts'

export interface ToolLoopOptions {
  readonly url: string
  readonly model: string
  readonly tools: readonly AgentTool[]
  readonly calls: number
  /** Then another conversation begins. */
  readonly callsPerConversation: number
  readonly random: Random
  readonly onProgress: (line: string) => void
}

export interface ToolCall {
  readonly name: string
  /** As it came. */
  readonly json: string
  /** Why it does not count; null where it does. */
  readonly fault: string | null
  /** What was cached of the prompt, and the prompt. */
  readonly cachedTokens: number
  readonly promptTokens: number
}

const questions = [
  'Plan my holiday, and do what is needed for it with the tools.',
  'Please tidy up the project: write what is missing, and label the issue.',
  'How is the weather, and what may I spend?',
]
/** Enough for the longest arguments that the schemas allow. */
const answerTokens = 500

export async function runToolLoop(options: ToolLoopOptions): Promise<readonly ToolCall[]> {
  const all: ToolCall[] = []
  let messages: object[] = []
  for (let index = 0; index < options.calls; index += 1) {
    if (index % options.callsPerConversation === 0) {
      messages = [{ role: 'user', content: options.random.pick(questions) }]
    }
    // Every other call may be any of the tools; between them each tool has its turn.
    const forced = index % 2 === 0 ? null : options.tools[(index >> 1) % options.tools.length]
    const { call, message } = await askForCall(options, messages, forced?.name ?? null)
    all.push(call)
    const verdict = call.fault ?? 'obeys'
    options.onProgress(`call ${index + 1}: ${call.name} ${call.json.slice(0, 70)} ${verdict}`)
    if (message === null) messages = [{ role: 'user', content: options.random.pick(questions) }]
    else messages.push(message.said, message.result)
  }
  return all
}

interface Reply {
  readonly choices: readonly {
    readonly finish_reason: string
    readonly message: {
      readonly tool_calls?: readonly {
        readonly id: string
        readonly function: { readonly name: string; readonly arguments: string }
      }[]
    }
  }[]
  readonly usage: {
    readonly prompt_tokens: number
    readonly prompt_tokens_details: { readonly cached_tokens: number }
  }
}

async function askForCall(
  { url, model, tools, random }: ToolLoopOptions,
  messages: readonly object[],
  forced: string | null,
) {
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      messages,
      tools: tools.map((each) => ({ type: 'function', function: each })),
      tool_choice: forced === null ? 'required' : { type: 'function', function: { name: forced } },
      parallel_tool_calls: false,
      max_tokens: answerTokens,
      temperature: 0.8,
      seed: random.integer(1, 1_000_000),
    }),
  })
  if (!reply.ok) throw new Error(`${reply.status}: ${await reply.text()}`)
  const { choices, usage } = (await reply.json()) as Reply
  const counted = {
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details.cached_tokens,
  }
  const [choice] = choices
  const [made, ...more] = choice?.message.tool_calls ?? []
  if (made === undefined) {
    return { call: { ...counted, name: '-', json: '', fault: 'no call' }, message: null }
  }
  const { name, arguments: json } = made.function
  const isOne = more.length === 0 && choice?.finish_reason === 'tool_calls'
  const isForced = forced === null || name === forced
  const fault = !isOne ? 'not one whole call' : isForced ? faultOf(tools, name, json) : 'other tool'
  const said = { role: 'assistant', content: null, tool_calls: [{ ...made, type: 'function' }] }
  const result = { role: 'tool', tool_call_id: made.id, content: '{"ok": true}' }
  return { call: { ...counted, name, json, fault }, message: { said, result } }
}

/** Null where the arguments are JSON that obeys the tool's schema. */
export function faultOf(tools: readonly AgentTool[], name: string, json: string): string | null {
  const tool = tools.find((each) => each.name === name)
  if (tool === undefined) return 'unknown tool'
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return 'no JSON'
  }
  return Compile(tool.parameters).Check(value) ? null : 'breaks its schema'
}

/** What the loop has to show; with many calls also that each tool was called. */
export function toolFindings(calls: readonly ToolCall[], tools: readonly AgentTool[]): Finding[] {
  const good = calls.filter(({ fault }) => fault === null).length
  const used = new Set(calls.map(({ name }) => name))
  const leastShare = Math.min(100, ...calls.slice(1).map(share))
  const bad = calls.find(({ fault }) => fault !== null)
  return [
    {
      claim: 'every call parses and obeys its schema',
      holds: good === calls.length,
      found: `${good} of ${calls.length}${bad ? `; ${bad.name} ${bad.json}: ${bad.fault}` : ''}`,
    },
    {
      claim: 'every tool was called',
      holds: tools.every(({ name }) => used.has(name)),
      found: `${used.size} of ${tools.length}`,
    },
    {
      claim: 'the tools are prefilled once, whatever the answer is held to',
      holds: leastShare > 50,
      found: `${leastShare} % cached at least`,
    },
  ]
}

const share = ({ cachedTokens, promptTokens }: ToolCall): number =>
  Math.floor((100 * cachedTokens) / promptTokens)
