/**
 * kill -9 of the real service at random moments while it saves, again and again on one directory.
 * After each start, what was acknowledged must be restored, and whatever is restored must give the
 * cold answer.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { TokenIds } from '../../cache/index.ts'
import { complete, completeCold, Refusal } from '../completions-client.ts'
import type { Finding } from '../findings.ts'
import type { Random } from '../random.ts'
import type { Scratch } from '../scratch-folder.ts'
import { type ServiceProcess, startService } from '../service-process.ts'

export interface CrashOptions {
  readonly kills: number
  readonly random: Random
  /** Words of `prefixd serve`, its directory included, and environment of the service. */
  readonly words: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly blockTokens: number
  /** Least and most tokens of a prompt. */
  readonly promptTokens: readonly [number, number]
  readonly promptsPerRound: number
  readonly answerTokens: number
  /** Token ids are below this. */
  readonly vocabularySize: number
  readonly scratch: Scratch
  readonly onProgress: (line: string) => void
}

export interface CrashReport {
  readonly kills: number
  readonly acknowledgedPrompts: number
  /** Answers after a crash that were compared with cold ones. */
  readonly answers: number
  readonly wrongAnswers: number
  /** Acknowledged tokens that were not restored. */
  readonly lostTokens: number
  readonly restoredTokens: number
  /** Prompts of which a kill left a beginning: it came in the middle of their saves. */
  readonly cutSaves: number
  readonly corruptBlocks: number
  readonly failedWrites: number
}

interface Sent {
  readonly tokens: TokenIds
  /** Tokens of it that an earlier prompt begins with. */
  readonly sharedTokens: number
  /** Stored for good, as far as the service has said so; 0 while it has not. */
  acknowledgedTokens: number
  /** The cold answer, once it was asked for. */
  coldText: string | null
}

/** Looked at after each start, beside those of the last round; at the end all of them are. */
const sampledPrompts = 4

/** Fewer kills may all miss a save. */
const manyKills = 20

interface StatsJson {
  readonly corrupt_blocks: number
  readonly failed_writes: number
  readonly refused_writes: number
}

export async function proveCrashes(options: CrashOptions): Promise<CrashReport> {
  const { random, kills } = options
  const checker = createChecker(options)
  const sent: Sent[] = []
  let latest: readonly Sent[] = []
  let roundMs: number | null = null

  const start = (): Promise<ServiceProcess> =>
    startService(options.words, options.scratch, options.env)
  const load = async (url: string): Promise<void> => {
    latest = makeRound(options, sent)
    sent.push(...latest)
    await Promise.all(latest.map((prompt) => send(url, prompt, options)))
  }

  for (let kill = 1; kill <= kills; kill += 1) {
    const service = await start()
    const older = Array.from({ length: Math.min(sampledPrompts, sent.length) }, () =>
      random.pick(sent),
    )
    await checker.check(service.url, new Set([...latest, ...older]))
    // The first round is let through, to know how long one takes.
    if (roundMs === null) {
      const startedAt = performance.now()
      await load(service.url)
      roundMs = performance.now() - startedAt
    }
    const loaded = load(service.url)
    const killAfterMs = random.next() * roundMs
    await delay(killAfterMs)
    await service.kill()
    await loaded
    const count = latest.filter(isAcknowledged).length
    const when = `kill ${kill} after ${killAfterMs.toFixed(0)} ms`
    options.onProgress(`${when}: ${count} of ${latest.length} prompts acknowledged`)
  }
  const last = await start()
  await checker.check(last.url, sent)
  await last.stop()
  const acknowledgedPrompts = sent.filter(isAcknowledged).length
  return { kills, acknowledgedPrompts, ...checker.counts }
}

const isAcknowledged = ({ acknowledgedTokens }: Sent): boolean => acknowledgedTokens > 0

/** Prompts of random lengths; about half of them begin like one that was sent before. */
function makeRound(options: CrashOptions, sent: readonly Sent[]): Sent[] {
  const { random, promptsPerRound, promptTokens, vocabularySize } = options
  return Array.from({ length: promptsPerRound }, () => {
    const length = random.integer(...promptTokens)
    const earlier = sent.length > 0 && random.next() < 0.5 ? random.pick(sent).tokens : null
    const sharedTokens = earlier === null ? 0 : random.integer(0, Math.min(earlier.length, length))
    const own = () => random.integer(1, vocabularySize - 1)
    const tokens = Uint32Array.from({ length }, (_, at) =>
      earlier !== null && at < sharedTokens ? (earlier[at] as number) : own(),
    )
    return { tokens, sharedTokens, acknowledgedTokens: 0, coldText: null }
  })
}

/** Sends a prompt; when its answer comes before the kill, what that acknowledges is noted. */
async function send(url: string, prompt: Sent, options: CrashOptions): Promise<void> {
  const { answerTokens, blockTokens } = options
  try {
    const answer = await complete(url, { tokens: prompt.tokens, answerTokens })
    const { cachedTokens, savedTokens } = answer
    // What was saved begins with the block that was restored in part, or behind the last whole one.
    const savedFrom = cachedTokens - (cachedTokens % blockTokens)
    prompt.acknowledgedTokens = savedTokens === 0 ? 0 : savedFrom + savedTokens
  } catch (error) {
    // The connection broke, as it should; any answer of the service is a mistake of the proof.
    if (error instanceof Refusal) throw error
  }
}

type Counts = Omit<CrashReport, 'kills' | 'acknowledgedPrompts'>

/** Asks for prompts again, warm and cold, and counts what is not as it must be. */
function createChecker({ answerTokens, blockTokens, onProgress }: CrashOptions) {
  const counts: { -readonly [K in keyof Counts]: Counts[K] } = {
    answers: 0,
    wrongAnswers: 0,
    lostTokens: 0,
    restoredTokens: 0,
    cutSaves: 0,
    corruptBlocks: 0,
    failedWrites: 0,
  }

  async function checkPrompt(url: string, prompt: Sent): Promise<void> {
    const { tokens, acknowledgedTokens, sharedTokens } = prompt
    const warm = await complete(url, { tokens, answerTokens, cache: 'no-write' })
    const { cachedTokens, text } = warm
    if (prompt.coldText === null) {
      prompt.coldText = (await completeCold(url, { tokens, answerTokens })).text
      const isCut = cachedTokens > sharedTokens && cachedTokens < tokens.length - 1
      if (acknowledgedTokens === 0 && isCut) counts.cutSaves += 1
    }
    counts.answers += 1
    counts.restoredTokens += cachedTokens
    const owed = Math.min(acknowledgedTokens, tokens.length - 1)
    const missing = Math.max(0, owed - cachedTokens)
    // Reading a whole tail for its first token or two takes longer than to compute them.
    const isDeclined = warm.missReason === 'restore_not_worth_it' && missing < blockTokens
    const lostTokens = isDeclined ? 0 : missing
    counts.lostTokens += lostTokens
    const isWrong = text !== prompt.coldText
    if (isWrong) counts.wrongAnswers += 1
    if (isWrong || lostTokens > 0) {
      const miss = warm.missReason ?? 'no miss'
      const what = `${cachedTokens} of ${owed} acknowledged tokens restored (${miss})`
      onProgress(`prompt of ${tokens.length}: ${what}, ${isWrong ? 'wrong' : 'right'} answer`)
    }
  }

  return {
    counts,
    async check(url: string, prompts: Iterable<Sent>): Promise<void> {
      for (const prompt of prompts) await checkPrompt(url, prompt)
      const stats = (await (await fetch(`${url}/v1/cache/stats`)).json()) as StatsJson
      counts.corruptBlocks += stats.corrupt_blocks
      counts.failedWrites += stats.failed_writes + stats.refused_writes
    },
  }
}

export function crashFindings(name: string, report: CrashReport): Finding[] {
  const { kills, answers, wrongAnswers, lostTokens } = report
  const finding = (claim: string, holds: boolean, found: string): Finding => ({
    claim: `${name}: ${claim}`,
    holds,
    found,
  })
  return [
    finding('no wrong restore', answers > 0 && wrongAnswers === 0, `${wrongAnswers} in ${answers}`),
    finding(
      'every acknowledged block is there',
      lostTokens === 0 && report.acknowledgedPrompts > 0,
      `${lostTokens} tokens lost of ${report.acknowledgedPrompts} acknowledged prompts`,
    ),
    finding('what survives is used', report.restoredTokens > 0, `${report.restoredTokens} tokens`),
    finding(
      'a kill damages nothing',
      report.corruptBlocks === 0 && report.failedWrites === 0,
      `${report.corruptBlocks} corrupt blocks and ${report.failedWrites} failed writes`,
    ),
    finding(
      'kills come in the middle of saves',
      kills < manyKills || report.cutSaves > 0,
      `${report.cutSaves} prompts with a beginning that survived ${kills} kills`,
    ),
  ]
}
