/**
 * `npm run simulate:faults`: the real cache and pipeline on a disk that fails, with workers that
 * die and a service that is killed at any moment. Ends with 0 only when nothing was ever wrong.
 */
import { parseArgs } from 'node:util'
import { type Failure, type SimulationReport, simulate } from './faults/simulation.ts'
import { formatCount } from './table.ts'

const usage = `npm run simulate:faults -- [--seed N] [--steps 5000] [--episode N]

Time is simulated, and everything follows from the seed. A failure prints how to have it again:
with --episode the episodes before it are left out.`

function readCount(name: string, text: string, least: number): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= least) return count
  throw new Error(`--${name} is a whole number from ${least}, not ${text}.`)
}

function summaryOf({ steps, episodes, events, counts, digest }: SimulationReport): string[] {
  const words: readonly (readonly [number, string])[] = [
    [steps, 'steps'],
    [episodes, 'episodes'],
    [events, 'events'],
    [counts.requests, 'requests'],
    [counts.restoredTokens, 'tokens restored'],
    [counts.kills, 'kills'],
    [counts.powerCuts, 'power cuts'],
    [counts.workerDeaths, 'worker deaths'],
    [counts.damages, 'flipped bits'],
    [counts.resizes, 'changed budgets'],
    [counts.fullShares, 'used-up shares'],
    [counts.audits, 'audits'],
    [counts.asked, 'acknowledged prefixes asked for'],
    [counts.askedWhole, 'of them owed whole'],
  ]
  const list = words.map(([count, what]) => `${formatCount(count)} ${what}`).join(', ')
  return [list, `digest ${digest.toString(16)}`]
}

function failureLines({ message, episode, step, lines }: Failure, seed: number): string[] {
  const again = `npm run simulate:faults -- --seed ${seed} --episode ${episode} --steps ${step}`
  return [
    ...lines,
    '',
    message,
    `seed ${seed}, episode ${episode}, step ${step}`,
    `again: ${again}`,
  ]
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      steps: { type: 'string', default: '5000' },
      episode: { type: 'string', default: '0' },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const seed = readCount('seed', values.seed, 0)
  console.log(`seed ${seed}`)
  const report = await simulate({
    seed,
    steps: readCount('steps', values.steps, 1),
    episode: readCount('episode', values.episode, 0),
    onProgress: (line) => void (values.quiet || console.error(line)),
  })
  const { failure } = report
  if (failure !== null) console.log(failureLines(failure, seed).join('\n'))
  console.log(summaryOf(report).join('\n'))
  console.log(failure === null ? 'holds' : 'FAILS')
  return failure === null ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`simulate:faults: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
