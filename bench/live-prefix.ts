/**
 * The yardstick of warm answers: the same engine, in a worker of its own, with the prefix standing
 * in its sequence already. No HTTP, no cache, no restore: it only computes what is new.
 */
import { openCache, type TokenIds } from '../cache/index.ts'
import type { Engine, RecordSink, Sequence } from '../engines/index.ts'
import { limits } from '../src/config/limits.ts'
import { restore } from '../src/pipeline/restore.ts'
import { tokensOf } from '../src/pipeline/tokenize.ts'
import type { ChatMessage } from './chat-client.ts'
import { greedy } from './greedy.ts'
import type { Scratch } from './scratch-folder.ts'
import { type Settings, startBareEngine } from './settings.ts'

export const noSink: RecordSink = {
  reserve: async () => null,
  commit: () => {},
  abandon: () => {},
}

/** For an engine that neither restores nor saves. */
export const noArena = {
  arena: null,
  view: {
    view: () => {
      throw new Error('this engine has no arena')
    },
  },
}

export interface LivePrefix {
  /** Tokens of these messages, by the model's own template. */
  tokensOf(messages: readonly ChatMessage[]): Promise<TokenIds>
  /**
   * Milliseconds to the first token of the answer, when exactly `liveTokens` of the prompt stand in
   * the sequence. Throws where they do not.
   */
  measure(tokens: TokenIds, liveTokens: number): Promise<number>
  close(): Promise<void>
}

/** A prefix in float32 takes 300 MB, and all of its records are read at once. */
const arenaBytes = 512 * 1024 * 1024

/**
 * Starts the worker and fills its sequence with the prefix of `messages` from the records that a
 * service has stored in this directory: to prefill it once more would take as long as the cold
 * request. No service may have the directory open.
 */
export async function openLivePrefix(
  settings: Settings,
  messages: readonly ChatMessage[],
  scratch: Scratch,
): Promise<LivePrefix> {
  const { config } = settings
  const opened = await openCache({
    ...limits,
    eviction: config.eviction,
    ssdWritesPerDayBytes: null,
    directory: config.dir,
    ramBytes: arenaBytes,
    ssdBytes: config.ssdBytes,
    blockTokens: config.blockTokens,
    boundaryTokens: config.boundaryTokens,
    reuse: config.reuse,
    now: () => Date.now(),
    warn: (message) => {
      throw new Error(message)
    },
  })
  const { arena, cache } = opened
  const shared = arena.fd === null ? null : { fd: arena.fd, sizeBytes: arena.sizeBytes }
  const engine = startBareEngine(settings, { arena: shared, view: arena })
  scratch.own(() => engine.close(0))
  try {
    const info = await engine.ready()
    const [root] = cache.index.roots()
    if (root === undefined) throw new Error('The service has stored nothing.')
    const tokens = await tokensOfChat(engine, messages)
    const lease = cache.lease({
      namespace: root.namespace,
      tokens,
      layout: info.layout,
      rates: { prefillTokensPerMs: null, restoreBytesPerMs: { ram: null, ssd: null } },
      read: true,
      spill: true,
    })
    const sequence = await engine.openSequence(new AbortController().signal)
    try {
      const restored = await restore(sequence, lease)
      return createLivePrefix(engine, sequence, tokens.slice(0, restored.tokenCount))
    } finally {
      lease.release()
    }
  } finally {
    await opened.close()
  }
}

export const tokensOfChat = (engine: Engine, messages: readonly ChatMessage[]): Promise<TokenIds> =>
  tokensOf(engine, {
    kind: 'chat',
    input: { messages: messages.map((message) => ({ ...message })), addGenerationPrompt: true },
  })

function createLivePrefix(engine: Engine, sequence: Sequence, restored: TokenIds): LivePrefix {
  let standing = restored
  return {
    tokensOf: (messages) => tokensOfChat(engine, messages),
    async measure(tokens, liveTokens) {
      const shared = sharedBeginning(standing, tokens)
      if (shared < liveTokens) {
        throw new Error(`${liveTokens} live tokens were asked for, ${shared} stand there.`)
      }
      await sequence.trim(liveTokens)
      const ms = await timeToFirstToken(sequence, tokens, liveTokens)
      standing = tokens
      return ms
    },
    close: () => engine.close(0),
  }
}

async function timeToFirstToken(
  sequence: Sequence,
  tokens: TokenIds,
  computeFrom: number,
): Promise<number> {
  const startedAt = performance.now()
  let firstAt: number | null = null
  const input = {
    tokens,
    computeFrom,
    restoredOnGrid: false,
    maxTokens: 1,
    sampling: greedy,
    save: false,
  }
  for await (const event of sequence.generate(input, noSink, new AbortController().signal)) {
    if (event.type === 'token') firstAt ??= performance.now()
  }
  if (firstAt === null) throw new Error('The engine generated nothing.')
  return firstAt - startedAt
}

/** Tokens that both begin with. */
export function sharedBeginning(left: TokenIds, right: TokenIds): number {
  const end = Math.min(left.length, right.length)
  for (let at = 0; at < end; at += 1) if (left[at] !== right[at]) return at
  return end
}
