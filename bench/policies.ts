/** `npm run policies`: how near each policy comes to the best possible one, as a table. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { policies } from '../src/simulate/policies.ts'
import { readTrace } from '../src/simulate/read-trace.ts'
import { type Simulation, simulate } from '../src/simulate/simulate.ts'
import { buildTrace, type Trace } from '../src/simulate/trace.ts'
import { conversationTrace, traceBlockTokens } from './conversation-trace.ts'
import { formatCount, renderTable } from './table.ts'

const usage = `npm run policies -- [--seeds 1,2,3] [--trace FILE]

Replays traces of the shape of Mooncake's conversations, one for each seed, or the trace in FILE,
over sizes from far too small to ample. Exit code 1 when retention is below 0.75 of the optimum, or
below LRU, at any of the sizes with a star.`

/** In blocks of 512 tokens; the trace has about 185,000 different ones. */
const sizes = [1000, 2000, 4000, 8000, 16_000, 20_000, 24_000, 32_000, 64_000]
const claimed = new Set([20_000, 24_000, 32_000])
const leastRatio = 0.75
const requests = 12_031

/** Sizes are counted in blocks here, whatever a block takes. */
const defaults = { blockTokens: traceBlockTokens, bytesPerToken: 1 / traceBlockTokens }
const { signal } = new AbortController()
const onProgress = (): void => {}

function generated(seed: number): Trace {
  const builder = buildTrace(defaults)
  for (const [index, line] of conversationTrace({ seed, requests }).entries()) {
    builder.add(JSON.stringify(line), index + 1)
  }
  return builder.trace()
}

interface Row {
  readonly blocks: number
  readonly lru: number
  readonly retention: number
  readonly optimum: number
}

function rowsOf({ sizes: found }: Simulation): Row[] {
  return found.map(({ sizeBytes, served }) => {
    const [lru = 0, retention = 0, optimum = 0] = served.map(({ hitRate }) => hitRate)
    return { blocks: sizeBytes, lru, retention, optimum }
  })
}

const isKept = ({ blocks, lru, retention, optimum }: Row): boolean =>
  !claimed.has(blocks) || (retention >= lru && retention >= leastRatio * optimum)

function show(title: string, { hitRateMax }: Simulation, rows: readonly Row[]): void {
  console.log(`${title}: ${hitRateMax.toFixed(3)} with room for all`)
  const head = ['blocks', '', 'LRU', 'retention', 'optimum', 'LRU ÷ optimum', 'retention ÷ optimum']
  const cells = rows.map((row) => [
    formatCount(row.blocks),
    claimed.has(row.blocks) ? '*' : '',
    ...[row.lru, row.retention, row.optimum].map((rate) => rate.toFixed(3)),
    ...[row.lru, row.retention].map((rate) => (rate / row.optimum).toFixed(3)),
  ])
  for (const line of [...renderTable(head, cells), '']) console.log(line)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1,2,3' },
      trace: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const traces: (readonly [title: string, trace: Trace])[] =
    values.trace === undefined
      ? values.seeds.split(',').map((seed) => [`seed ${seed}`, generated(Number(seed))])
      : [
          [
            values.trace,
            await readTrace(resolve(values.trace), { ...defaults, signal, onProgress }),
          ],
        ]
  let isProven = true
  for (const [title, trace] of traces) {
    const result = await simulate(trace, { sizesBytes: sizes, policies, signal, onProgress })
    const rows = rowsOf(result)
    show(title, result, rows)
    isProven &&= rows.every(isKept)
  }
  console.log(isProven ? 'PASS' : `FAIL  retention is below ${leastRatio} of the optimum, or LRU`)
  return isProven ? 0 : 1
}

process.exitCode = await main()
