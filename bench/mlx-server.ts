/** mlx_lm.server, unchanged, on what our own worker runs on: what a user would have without us. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import type { MlxRuntime } from '../engines/index.ts'
import { mlxCommand } from '../engines/mlx/command.ts'
import type { ChatMessage } from './chat-client.ts'
import type { Scratch } from './scratch-folder.ts'
import { eventsOf } from './sse-events.ts'

export interface PeerAnswer {
  readonly promptTokens: number
  readonly cachedTokens: number
  /** From sending the request to the first frame with text. */
  readonly ttftMs: number
}

export interface MlxServer {
  ask(messages: readonly ChatMessage[]): Promise<PeerAnswer>
  /** Resolves when the process is gone, and with it all that it has cached. */
  kill(): Promise<void>
}

const readyMs = 120_000
const pollMs = 50
const requestMs = 900_000
const logLinesMax = 50

/**
 * The same Python, packages, BLAS and threads as the worker. `modelPath` has float32 weights, since
 * this server has no setting for the type that it computes in. Resolves when it has answered one
 * short question: it loads the model behind its first request.
 */
export async function startMlxServer(
  runtime: MlxRuntime,
  options: { readonly modelPath: string; readonly threads: number },
  scratch: Scratch,
): Promise<MlxServer> {
  const port = await freePort()
  const { command, env } = mlxCommand(runtime, options.threads)
  const words = ['--model', options.modelPath, '--host', '127.0.0.1', '--port', String(port)]
  const child = spawn(command, ['-P', '-m', 'mlx_lm', 'server', ...words], {
    env: { ...process.env, ...env },
    cwd: scratch.directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await exited
    disown()
  }
  const disown = scratch.own(kill)
  const url = `http://127.0.0.1:${port}`
  await untilHealthy(url, child)
  const ask = (messages: readonly ChatMessage[]): Promise<PeerAnswer> => askServer(url, messages)
  await ask([{ role: 'user', content: 'Hello.' }])
  return { ask, kill }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('No port is free.')
  return address.port
}

async function untilHealthy(url: string, child: ChildProcess): Promise<void> {
  const lines: string[] = []
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line)
      if (lines.length > logLinesMax) lines.shift()
    })
  }
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const isHealthy = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isHealthy) return
    if (child.exitCode !== null || waitedMs >= readyMs) {
      throw new Error(`mlx_lm.server does not answer. It wrote:\n${lines.join('\n')}`)
    }
    await delay(pollMs)
  }
}

interface Frame {
  readonly choices: readonly { readonly delta: { readonly content?: string } }[]
  readonly usage?: {
    readonly prompt_tokens: number
    readonly prompt_tokens_details?: { readonly cached_tokens: number }
  }
}

async function askServer(url: string, messages: readonly ChatMessage[]): Promise<PeerAnswer> {
  const sentAt = performance.now()
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      messages,
      max_tokens: 4,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal: AbortSignal.timeout(requestMs),
  })
  if (!reply.ok || reply.body === null) {
    throw new Error(`mlx_lm.server answered ${reply.status}: ${(await reply.text()).slice(0, 500)}`)
  }
  let ttftMs: number | null = null
  let usage: Frame['usage']
  for await (const event of eventsOf(reply.body)) {
    const frame = event as Frame
    if (frame.choices[0]?.delta.content) ttftMs ??= performance.now() - sentAt
    usage = frame.usage ?? usage
  }
  if (ttftMs === null || usage === undefined) throw new Error('mlx_lm.server answered nothing.')
  const cachedTokens = usage.prompt_tokens_details?.cached_tokens ?? 0
  return { promptTokens: usage.prompt_tokens, cachedTokens, ttftMs }
}
