/** What `prefixd simulate` found: a table, and the same as a plot. Pure. */
import { formatSize } from '../../config/sizes.ts'
import type { Policy } from '../../simulate/policies.ts'
import type { Simulation, SizeResult } from '../../simulate/simulate.ts'
import { style, type Terminal } from '../context.ts'
import { formatCount } from './count.ts'
import { type Column, tableLines } from './table.ts'
import { pad } from './text.ts'

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`

const rateOf = ({ served }: SizeResult, policy: Policy): number | null =>
  served.find((each) => each.policy === policy)?.hitRate ?? null

export function simulationPage(result: Simulation, terminal: Terminal): string[] {
  const { sizes, hitRateMax } = result
  return [
    `${formatCount(result.requests)} requests for ${formatCount(result.askedBlocks)} blocks, of ` +
      `which ${formatCount(result.distinctBlocks)} differ and take ` +
      `${formatSize(result.distinctBytes)}`,
    `with room for all of them ${percent(hitRateMax)} would have been there`,
    '',
    ...tableLines(columnsFor(result), sizes, terminal.width, (line) =>
      style(terminal, 'bold', line),
    ),
    '',
    ...plotLines(result, terminal),
  ]
}

const titles: Readonly<Record<Policy, string>> = {
  lru: 'LRU',
  retention: 'RETENTION',
  optimum: 'OPTIMUM',
}

function columnsFor({ sizes }: Simulation): Column<SizeResult>[] {
  const shown = sizes[0]?.served.map(({ policy }) => policy) ?? []
  const rates = shown.map(
    (policy): Column<SizeResult> => ({
      title: titles[policy],
      align: 'right',
      priority: 0,
      value: (row) => percent(rateOf(row, policy) ?? 0),
    }),
  )
  const ratios = shown
    .filter((policy) => policy !== 'optimum' && shown.includes('optimum'))
    .map(
      (policy): Column<SizeResult> => ({
        title: `${titles[policy]} ÷ OPTIMUM`,
        align: 'right',
        priority: 1,
        value: (row) => ratio(rateOf(row, policy), rateOf(row, 'optimum')),
      }),
    )
  const size: Column<SizeResult> = {
    title: 'SIZE',
    align: 'right',
    priority: 0,
    value: (row) => formatSize(row.sizeBytes),
  }
  return [size, ...rates, ...ratios]
}

const ratio = (part: number | null, whole: number | null): string =>
  part === null || whole === null || whole === 0 ? '-' : (part / whole).toFixed(2)

const marks: Readonly<Record<Policy, string>> = { lru: 'L', retention: 'R', optimum: 'O' }
const plotCellsMax = 60
const sizeCells = 10

/** A line for each size; the right end is what room for everything would serve. */
function plotLines({ sizes, hitRateMax }: Simulation, terminal: Terminal): string[] {
  const cells = Math.min(plotCellsMax, terminal.width - sizeCells - 2)
  // A trace in which nothing comes back, or a terminal without room for a plot.
  if (hitRateMax <= 0 || cells < 20) return []
  const lines = sizes.map(({ sizeBytes, served }) => {
    const row = new Array<string>(cells).fill('·')
    // The first policy is drawn last: where two meet, the plainer one has done as well.
    for (const { policy, hitRate } of served.toReversed()) {
      const at = Math.round((hitRate / hitRateMax) * (cells - 1))
      row[Math.min(cells - 1, at)] = marks[policy]
    }
    return `${pad(formatSize(sizeBytes), sizeCells, 'right')}  ${row.join('')}`
  })
  const policies = sizes[0]?.served.map(({ policy }) => `${marks[policy]} ${policy}`) ?? []
  const right = percent(hitRateMax)
  const scale = `0%${' '.repeat(cells - 2 - right.length)}${right}`
  return [...lines, `${' '.repeat(sizeCells + 2)}${scale}`, policies.join(' · ')]
}
