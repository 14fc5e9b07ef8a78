/** Who holds what of the tiers, and what they may: for `prefixd budget` and `prefixd stats`. */
import type { BudgetsJson } from '../../api/native/budgets-schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { style, type Terminal } from '../context.ts'
import { type Column, tableLines } from './table.ts'

type Share = BudgetsJson['shares'][number]
type Holder = BudgetsJson['holders'][number]

/** One who holds all of it stands in the table of the tiers already. */
export function sharesPage({ shares, holders }: BudgetsJson, terminal: Terminal): string[] {
  const bold = (line: string) => style(terminal, 'bold', line)
  const isShared = holders.length > 1 || shares.length > 0
  return [
    ...(isShared ? ['', ...tableLines(holderColumns, holders, terminal.width, bold)] : []),
    ...shareTable(shares, terminal),
  ]
}

/** With an empty line above it; nothing where nobody has a share. */
export function shareTable(shares: readonly Share[], terminal: Terminal): string[] {
  if (shares.length === 0) return []
  const bold = (line: string) => style(terminal, 'bold', line)
  return ['', ...tableLines(shareColumns, shares, terminal.width, bold)]
}

const holderColumns: readonly Column<Holder>[] = [
  { title: 'MODEL', priority: 0, maxCells: 32, minCells: 12, value: ({ model }) => model },
  { title: 'TENANT', priority: 0, maxCells: 32, minCells: 8, value: ({ tenant }) => tenant ?? '-' },
  { title: 'RAM', priority: 0, align: 'right', value: (held) => formatSize(held.ram_bytes) },
  { title: 'SSD', priority: 0, align: 'right', value: (held) => formatSize(held.ssd_bytes) },
]

const ofMost = (used: Share['ram']): string => {
  const { used_bytes: usedBytes, most_bytes: mostBytes } = used
  return `${formatSize(usedBytes)} of ${mostBytes === null ? 'all' : formatSize(mostBytes)}`
}

const shareColumns: readonly Column<Share>[] = [
  { title: 'SHARE', priority: 0, maxCells: 40, minCells: 12, value: ({ name }) => name },
  { title: 'RAM', priority: 0, align: 'right', value: ({ ram }) => ofMost(ram) },
  { title: 'SSD', priority: 0, align: 'right', value: ({ ssd }) => ofMost(ssd) },
]
