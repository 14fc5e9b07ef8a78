/** `npm run wear`: what a budget of writes to the SSD costs in hits, as a table. */
import { parseArgs } from 'node:util'
import { buildTrace, type Trace } from '../src/simulate/trace.ts'
import { conversationTrace, traceBlockTokens } from './conversation-trace.ts'
import { formatCount, renderTable } from './table.ts'
import { replayWear, type Wear } from './wear-replay.ts'

const usage = `npm run wear -- [--seeds 1,2,3] [--requests 4000] [--ram BLOCKS] [--ssd BLOCKS]

Plays conversations of Mooncake's shape, stretched to 30 days, through the real cache with a clock
of its own: without a budget of SSD writes, and with ever smaller ones. Exit code 1 when any 24
hours see more than their budget, or the budget with the star costs more than 3 % of the hits.`

const days = 30
/** Parts of what a day writes without a budget. */
const shares = [1.5, 1.25, 1.1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
/** The smallest that costs no more than `mostLoss` on every seed. */
const claimedShare = 1
const mostLoss = 0.03

interface Row extends Wear {
  /** Null: without a budget. */
  readonly share: number | null
  readonly blocksPerDay: number | null
}

function generated(seed: number, requests: number): Trace {
  const builder = buildTrace({ blockTokens: traceBlockTokens, bytesPerToken: 1 / traceBlockTokens })
  for (const [index, line] of conversationTrace({ seed, requests }).entries()) {
    builder.add(JSON.stringify(line), index + 1)
  }
  return builder.trace()
}

async function rowsOf(trace: Trace, ramBlocks: number, ssdBlocks: number): Promise<Row[]> {
  const sizes = { ramBlocks, ssdBlocks, days }
  const unlimited = await replayWear(trace, { ...sizes, blocksPerDay: null })
  const rows: Row[] = [{ ...unlimited, share: null, blocksPerDay: null }]
  for (const share of shares) {
    const blocksPerDay = Math.round((share * unlimited.writtenBlocks) / days)
    const wear = await replayWear(trace, { ...sizes, blocksPerDay })
    rows.push({ ...wear, share, blocksPerDay })
  }
  return rows
}

const lossOf = (row: Row, unlimited: Row): number => 1 - row.hitBlocks / unlimited.hitBlocks

function isKept(row: Row, unlimited: Row): boolean {
  const isInside = row.blocksPerDay === null || row.mostInADay <= row.blocksPerDay
  return isInside && (row.share !== claimedShare || lossOf(row, unlimited) <= mostLoss)
}

function show(title: string, trace: Trace, rows: readonly Row[]): void {
  const [unlimited] = rows as [Row]
  const head = [
    'budget',
    '',
    'a day',
    'most in 24 h',
    'written',
    'evicted',
    'hit rate',
    'hits lost',
  ]
  const cells = rows.map((row) => [
    row.share === null ? 'none' : `${Math.round(100 * row.share)} %`,
    row.share === claimedShare ? '*' : '',
    row.blocksPerDay === null ? '–' : formatCount(row.blocksPerDay),
    formatCount(row.mostInADay),
    `${((100 * row.writtenBlocks) / unlimited.writtenBlocks).toFixed(1)} %`,
    formatCount(row.evictedBlocks),
    (row.hitBlocks / trace.askedBlocks).toFixed(3),
    `${(100 * lossOf(row, unlimited)).toFixed(1)} %`,
  ])
  console.log(title)
  for (const line of [...renderTable(head, cells), '']) console.log(line)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1,2,3' },
      requests: { type: 'string', default: '4000' },
      ram: { type: 'string', default: '2000' },
      ssd: { type: 'string', default: '8000' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  let isProven = true
  for (const seed of values.seeds.split(',').map(Number)) {
    const trace = generated(seed, Number(values.requests))
    const [ramBlocks, ssdBlocks] = [Number(values.ram), Number(values.ssd)]
    const rows = await rowsOf(trace, ramBlocks, ssdBlocks)
    const size = `${formatCount(trace.blocks.length)} blocks`
    const tiers = `${formatCount(ramBlocks)} in RAM, ${formatCount(ssdBlocks)} on the SSD`
    show(`seed ${seed}: ${size} in ${days} days; room for ${tiers}`, trace, rows)
    isProven &&= rows.every((row) => isKept(row, rows[0] as Row))
  }
  const claim = `a budget of ${100 * claimedShare} % costs at most ${100 * mostLoss} % of the hits`
  console.log(isProven ? `PASS  ${claim}` : `FAIL  not true: ${claim}, and no budget is exceeded`)
  return isProven ? 0 : 1
}

process.exitCode = await main()
