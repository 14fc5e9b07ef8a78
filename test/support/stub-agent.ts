/**
 * An agent as the harness of bench/agents/ meets one: a program that keeps its sessions in its home
 * and asks in one of the three dialects, in the shapes that real ones were seen to send.
 *
 * Words: dialect, base URL, prompt, and `continue` for the latest session.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Said {
  readonly role: 'user' | 'assistant'
  readonly text: string
}

interface Reply {
  readonly text: string
  readonly cachedTokens: number
}

const rules = 'Answer in one line. Never guess what a file holds; read it first. '.repeat(60)
const readFile = {
  name: 'read_file',
  description: 'Reads a file of the project.',
  parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
}

async function ask(url: string, path: string, body: object): Promise<Record<string, unknown>[]> {
  const reply = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer local' },
    body: JSON.stringify(body),
  })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${reply.status} ${text}`)
  return [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json ?? '{}'))
}

/** Claude Code: digits that follow the first words, a late system message, a moving breakpoint. */
async function messages(url: string, said: readonly Said[]): Promise<Reply> {
  const digits = Buffer.from(said[0]?.text ?? '')
    .toString('hex')
    .slice(-3)
  const billing = `x-anthropic-billing-header: cc_version=2.1.330.${digits}; cc_entrypoint=cli;`
  const content = (text: string, isLast: boolean): object =>
    isLast ? [{ type: 'text', text, cache_control: { type: 'ephemeral' } }] : (text as never)
  const events = await ask(url, '/v1/messages?beta=true', {
    model: 'fake',
    max_tokens: 32_000,
    stream: true,
    system: [billing, rules].map((text) => ({ type: 'text', text })),
    messages: said.map(({ role, text }, at) => ({
      role,
      content: content(text, at === said.length - 1),
    })),
    tools: [{ ...readFile, parameters: undefined, input_schema: readFile.parameters }],
    thinking: { type: 'adaptive' },
    metadata: { user_id: '{"session_id":"one"}' },
  })
  const deltas = events.map(({ delta }) => (delta as { text?: string } | undefined)?.text ?? '')
  const last = events.findLast(({ type }) => type === 'message_delta') as {
    usage: { cache_read_input_tokens: number }
  }
  return { text: deltas.join(''), cachedTokens: last.usage.cache_read_input_tokens }
}

/** opencode: a title is asked for beside the first turn. */
async function chat(url: string, said: readonly Said[]): Promise<Reply> {
  const post = (body: object) =>
    ask(url, '/v1/chat/completions', {
      model: 'fake',
      stream: true,
      stream_options: { include_usage: true },
      ...body,
    })
  const history = said.map(({ role, text }) => ({ role, content: text }))
  const title = { messages: [{ role: 'system', content: 'Write a title.' }, ...history] }
  const main = {
    messages: [{ role: 'system', content: rules }, ...history],
    tools: [{ type: 'function', function: readFile }],
    tool_choice: 'auto',
  }
  const [events] = await Promise.all([post(main), said.length === 1 ? post(title) : null])
  const deltas = events.map(({ choices }) => {
    const [choice] = choices as { delta: { content?: string } }[]
    return choice?.delta.content ?? ''
  })
  const usage = events.at(-1)?.usage as { prompt_tokens_details: { cached_tokens: number } }
  return { text: deltas.join(''), cachedTokens: usage.prompt_tokens_details.cached_tokens }
}

/** Codex: rules as a developer message, and tools that only OpenAI's servers can run. */
async function responses(url: string, said: readonly Said[]): Promise<Reply> {
  const partOf = { user: 'input_text', assistant: 'output_text' } as const
  const item = (role: string, type: string, text: string) => ({
    type: 'message',
    role,
    content: [{ type, text }],
  })
  const events = await ask(url, '/v1/responses', {
    model: 'fake',
    stream: true,
    store: false,
    prompt_cache_key: 'one',
    include: ['reasoning.encrypted_content'],
    input: [
      item('developer', 'input_text', rules),
      ...said.map(({ role, text }) => item(role, partOf[role], text)),
    ],
    tools: [{ type: 'function', ...readFile }, { type: 'web_search' }],
  })
  const deltas = events.filter(({ type }) => type === 'response.output_text.delta')
  const { response } = events.at(-1) as {
    response: { usage: { input_tokens_details: { cached_tokens: number } } }
  }
  return {
    text: deltas.map(({ delta }) => delta).join(''),
    cachedTokens: response.usage.input_tokens_details.cached_tokens,
  }
}

const [dialect = '', url = '', prompt = '', way] = process.argv.slice(2)
const asker = { messages, chat, responses }[dialect]
if (asker === undefined) throw new Error(`There is no dialect ${dialect}.`)
const file = join(process.env.HOME ?? '', 'session.json')
const before =
  way === 'continue' && existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Said[]) : []
const said: Said[] = [...before, { role: 'user', text: prompt }]
const { text, cachedTokens } = await asker(url, said)
writeFileSync(file, JSON.stringify([...said, { role: 'assistant', text }]))
process.stdout.write(`${JSON.stringify({ cachedTokens })}\n`)
