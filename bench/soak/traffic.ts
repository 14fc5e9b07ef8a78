/**
 * What clients do all day, on a store that is far too small for it: prompts that go on and new
 * ones, in several dialects, streamed and whole, with clients that leave, and people who look and
 * evict.
 */
import { complete } from '../completions-client.ts'
import { createConversations } from '../faults/conversations.ts'
import type { Random } from '../random.ts'

export interface TrafficOptions {
  readonly url: string
  readonly random: Random
  readonly clients: number
  readonly promptTokensMax: number
  /** Ends all clients. */
  readonly signal: AbortSignal
}

export interface TrafficCounts {
  requests: number
  left: number
  promptTokens: number
  cachedTokens: number
  savedTokens: number
}

/** Resolves when every client has ended. Rejects with what the service refused. */
export async function sendTraffic(options: TrafficOptions, counts: TrafficCounts): Promise<void> {
  const clients = Array.from({ length: options.clients }, () => beClient(options, counts))
  await Promise.all(clients)
}

async function beClient(options: TrafficOptions, counts: TrafficCounts): Promise<void> {
  const { url, random, signal, promptTokensMax } = options
  const conversations = createConversations(random, promptTokensMax)
  const asPrompt = async (): Promise<void> => {
    const tokens = conversations.nextPrompt()
    const answer = await complete(url, { tokens, answerTokens: random.integer(1, 24) })
    counts.promptTokens += tokens.length
    counts.cachedTokens += answer.cachedTokens
    counts.savedTokens += answer.savedTokens
    conversations.remember(tokens)
  }
  const ways: readonly (() => Promise<void>)[] = [
    asPrompt,
    asPrompt,
    asPrompt,
    () => chat(options),
    () => message(options),
    () => leave(options, conversations.nextPrompt(), counts),
    () => look(options),
    () => evict(options),
  ]
  while (!signal.aborted) {
    await random.pick(ways)()
    counts.requests += 1
  }
}

async function post(url: string, path: string, body: object, signal?: AbortSignal) {
  const headers = { 'content-type': 'application/json' }
  const text = JSON.stringify(body)
  const reply = await fetch(url + path, {
    method: 'POST',
    headers,
    body: text,
    signal: signal ?? null,
  })
  const answer = await reply.text()
  if (!reply.ok) throw new Error(`${path} answers ${reply.status}: ${answer}`)
  return answer
}

const words = (random: Random, count: number): string =>
  Array.from({ length: count }, () => `word${random.integer(1, 50)}`).join(' ')

function chatOf(random: Random) {
  const system = `House ${random.integer(1, 6)}. ${'Be brief and kind. '.repeat(12)}`
  const user = words(random, random.integer(3, 60))
  return [
    { role: 'system', content: system },
    { role: 'user', content: user },
  ]
}

async function chat({ url, random }: TrafficOptions): Promise<void> {
  const stream = random.next() < 0.7
  await post(url, '/v1/chat/completions', { messages: chatOf(random), max_tokens: 16, stream })
}

async function message({ url, random }: TrafficOptions): Promise<void> {
  const [system, user] = chatOf(random)
  const body = { model: 'fake', max_tokens: 16, system: system?.content, messages: [user] }
  await post(url, '/v1/messages', { ...body, stream: random.next() < 0.7 })
}

/** The connection is closed in the middle of the answer. */
async function leave({ url, random }: TrafficOptions, prompt: Uint32Array, counts: TrafficCounts) {
  const patience = AbortSignal.timeout(random.integer(1, 60))
  const body = { prompt: [...prompt], max_tokens: 200, stream: true, ignore_eos: true }
  try {
    await post(url, '/v1/completions', body, patience)
  } catch (error) {
    if (!patience.aborted) throw error
    counts.left += 1
  }
}

async function look({ url }: TrafficOptions): Promise<void> {
  for (const path of ['/v1/cache/stats', '/v1/cache/prefixes', '/v1/models']) {
    const reply = await fetch(url + path)
    const answer = await reply.text()
    if (!reply.ok) throw new Error(`${path} answers ${reply.status}: ${answer}`)
  }
}

async function evict({ url, random }: TrafficOptions): Promise<void> {
  const reply = await fetch(`${url}/v1/cache/prefixes`)
  const { data } = (await reply.json()) as { data: { id: string }[] }
  if (data.length === 0) return
  const { id } = random.pick(data)
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ ids: [id] })
  // It may have gone by itself meanwhile, so that any answer is right.
  await (await fetch(`${url}/v1/cache/evict`, { method: 'POST', headers, body })).text()
}
