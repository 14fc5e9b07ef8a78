/**
 * `npm run proof:isolation`: no request of one key is faster for what another key has cached. The
 * tests prove the cause (nothing is found, read or restored); this looks at the clock.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type ChatAnswer, streamChat } from './chat-client.ts'
import { findingLines, isProven } from './findings.ts'
import { median } from './median.ts'
import { ensureModel } from './model.ts'
import { naturalText } from './natural-text.ts'
import { type Scratch, withScratch } from './scratch-folder.ts'
import { startService } from './service-process.ts'
import { settingsFor } from './settings.ts'
import { formatMs, formatRatio, renderTable } from './table.ts'

const usage = `npm run proof:isolation -- [--pairs 12] [--model smollm2-135m]

Key A caches a prompt; key B then asks for it, and for one of the same length that nobody has, in
turns. B's times must not tell them apart. Takes about two minutes on two cores.`

const keyA = 'sk-a-0000000000000000'
const keyB = 'sk-b-0000000000000000'
const admin = 'sk-admin-000000000000'
const promptCharacters = 1_200
/** The template's own words and the first ones of the report. */
const sharedTokensMost = 48
/** Two medians of the same thing differ by less, on a machine that is not too busy. */
const ratioMost = 1.1
const hitRatioMost = 0.5

interface Pair {
  readonly cachedByA: ChatAnswer
  readonly cachedByNobody: ChatAnswer
  /** The first of them once more: what a hit looks like to the same clock. */
  readonly cachedByB: ChatAnswer
}

async function measure(
  url: string,
  pairs: number,
  onPair: (pair: Pair) => void,
): Promise<readonly Pair[]> {
  const ask = (seed: number, key: string): Promise<ChatAnswer> => {
    const content = naturalText(seed, promptCharacters)
    return streamChat(url, { messages: [{ role: 'user', content }], maxTokens: 1, key })
  }
  // Every key's first request of all is slower than the ones behind it.
  await ask(1, keyB)
  const measured: Pair[] = []
  for (let at = 0; at < pairs; at += 1) {
    const [stored, fresh] = [1_000 + 2 * at, 1_001 + 2 * at]
    await ask(stored, keyA)
    // In turns, so that a machine that gets slower is slower for both.
    const isStoredFirst = at % 2 === 0
    const first = await ask(isStoredFirst ? stored : fresh, keyB)
    const second = await ask(isStoredFirst ? fresh : stored, keyB)
    const [cachedByA, cachedByNobody] = isStoredFirst ? [first, second] : [second, first]
    const pair = { cachedByA, cachedByNobody, cachedByB: await ask(stored, keyB) }
    onPair(pair)
    measured.push(pair)
  }
  return measured
}

/** The lengths of two texts differ by a few tokens, so times are counted per token computed. */
const perToken = ({ ttftMs, computedTokens }: ChatAnswer): number => ttftMs / computedTokens

async function prove(url: string, pairs: number): Promise<boolean> {
  const rows: string[][] = []
  const measured = await measure(url, pairs, ({ cachedByA, cachedByNobody, cachedByB }) => {
    const ratio = perToken(cachedByA) / perToken(cachedByNobody)
    const times = [cachedByA, cachedByNobody, cachedByB].map(({ ttftMs }) => formatMs(ttftMs))
    rows.push([...times, formatRatio(ratio)])
  })
  const ofA = measured.map(({ cachedByA }) => perToken(cachedByA))
  const ofNobody = measured.map(({ cachedByNobody }) => perToken(cachedByNobody))
  const ratio = median(ofA) / median(ofNobody)
  const hit = median(
    measured.map(({ cachedByB, cachedByA }) => cachedByB.ttftMs / cachedByA.ttftMs),
  )
  const restored = Math.max(...measured.map(({ cachedByA }) => cachedByA.cachedTokens))
  const findings = [
    {
      claim: 'of what A has cached B restores nothing but the words with which its own begin',
      holds: restored <= sharedTokensMost,
      found: `${restored} tokens at most`,
    },
    {
      claim: `time per token for B: cached by A ÷ cached by nobody, medians of ${pairs}`,
      holds: ratio <= ratioMost && ratio >= 1 / ratioMost,
      found: formatRatio(ratio),
    },
    {
      claim: 'the clock would see it: cached by B ÷ cached by A, median',
      holds: hit <= hitRatioMost,
      found: formatRatio(hit),
    },
  ]
  const head = ['cached by A', 'by nobody', 'by B', 'A ÷ nobody, per token']
  console.log([...renderTable(head, rows), '', ...findingLines(findings)].join('\n'))
  return isProven(findings)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      pairs: { type: 'string', default: '12' },
      model: { type: 'string', default: 'smollm2-135m' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const pairs = Number(values.pairs)
  if (!Number.isInteger(pairs) || pairs < 1) throw new Error('--pairs is a whole number from 1.')
  const choices = { engine: 'llamacpp', model: values.model, reuse: 'token' } as const
  await ensureModel(choices)
  return withScratch(async (scratch: Scratch) => {
    const keyFile = join(scratch.directory, 'keys')
    writeFileSync(keyFile, `${keyA}\n${keyB}\n${admin} admin\n`)
    const { words } = await settingsFor(choices, scratch.directory)
    const service = await startService([...words, '--api-keys', keyFile], scratch, {}, admin)
    return (await prove(service.url, pairs)) ? 0 : 1
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`proof:isolation: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
