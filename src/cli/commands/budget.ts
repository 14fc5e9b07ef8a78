/** `prefixd budget`: what each tier may take and what the SSD may be written, and changing it. */
import type { BudgetsJson, BudgetsRequestJson } from '../../api/native/budgets-schema.ts'
import { formatSize, writeSize } from '../../config/sizes.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { pinSurplus } from '../render/pin-surplus.ts'
import { sharesPage } from '../render/shares-page.ts'
import { type Column, tableLines } from '../render/table.ts'

export interface BudgetFlags extends ClientFlags {
  readonly ram?: number
  readonly ssd?: number
  /** 0: no limit. */
  readonly ssdWritesPerDay?: number
  /** In place of all shares; `none` alone: there are none. */
  readonly share?: readonly string[]
}

/** Without a size: what they are. */
export async function budget(this: CliContext, flags: BudgetFlags): Promise<void> {
  const client = await connect(this, flags)
  const change = changeOf(flags)
  const isAsked = Object.keys(change).length > 0
  const budgets = isAsked ? await client.changeBudgets(change) : await client.budgets()
  if (flags.json) return writeJson(this.out, budgets)
  const rows = rowsOf(budgets)
  const lines = tableLines(columns, rows, this.out.width, (line) => style(this.out, 'bold', line))
  const shares = sharesPage(budgets, this.out)
  const isResized = flags.ram !== undefined || flags.ssd !== undefined
  const surplus = isResized ? pinSurplus(await client.pins(), this.out) : []
  const kept = toWriteDown(rows, flags.share)
  writeLines(this.out, [...lines, ...hintsOf(budgets), ...surplus, ...shares, ...kept])
}

const changeOf = ({ ram, ssd, ssdWritesPerDay, share = [] }: BudgetFlags): BudgetsRequestJson => ({
  ...(ram === undefined ? {} : { ram_bytes: ram }),
  ...(ssd === undefined ? {} : { ssd_bytes: ssd }),
  ...(ssdWritesPerDay === undefined ? {} : { ssd_writes_per_day_bytes: ssdWritesPerDay || null }),
  ...(share.length === 0 ? {} : { shares: sharesIn(share) }),
})

const sharesIn = (given: readonly string[]) => given.filter((each) => each !== 'none')

interface Row {
  readonly setting: string
  /** Null: there is no limit. */
  readonly budgetBytes: number | null
  readonly atStartBytes: number | null
  readonly usedBytes: number
  /** Null: it is no room. */
  readonly heldBytes: number | null
  readonly state: string
}

function rowsOf({ ram, ssd, ssd_writes_per_day: writes }: BudgetsJson): Row[] {
  return [
    tierRow('ram', ram),
    ...(ssd === null ? [] : [tierRow('ssd', ssd)]),
    ...(writes === null
      ? []
      : [
          {
            setting: 'ssd-writes-per-day',
            budgetBytes: writes.budget_bytes,
            atStartBytes: writes.at_start_bytes,
            usedBytes: writes.used_bytes,
            heldBytes: null,
            state: '-',
          },
        ]),
  ]
}

const tierRow = (setting: string, tier: NonNullable<BudgetsJson['ssd']>): Row => ({
  setting,
  budgetBytes: tier.budget_bytes,
  atStartBytes: tier.at_start_bytes,
  usedBytes: tier.used_bytes,
  heldBytes: tier.held_bytes,
  state: tier.shrinking ? 'shrinking' : 'steady',
})

const sizeOrNone = (sizeBytes: number | null): string =>
  sizeBytes === null ? 'none' : formatSize(sizeBytes)

const columns: readonly Column<Row>[] = [
  { title: 'SETTING', priority: 0, value: ({ setting }) => setting },
  {
    title: 'LIMIT',
    priority: 0,
    align: 'right',
    value: ({ budgetBytes }) => sizeOrNone(budgetBytes),
  },
  {
    title: 'AT START',
    priority: 3,
    align: 'right',
    value: ({ atStartBytes }) => sizeOrNone(atStartBytes),
  },
  { title: 'USED', priority: 0, align: 'right', value: ({ usedBytes }) => formatSize(usedBytes) },
  {
    title: 'HELD',
    priority: 2,
    align: 'right',
    value: ({ heldBytes }) => (heldBytes === null ? '-' : formatSize(heldBytes)),
  },
  { title: 'STATE', priority: 1, value: ({ state }) => state },
]

const reasons = {
  in_use: 'waits until requests are done with what they use',
  kept: 'waits for pins and clients’ lifetimes to end: prefixd unpin',
  writes: 'waits for the writes of a day, which moving its records takes',
} as const

function hintsOf({ ram, ssd }: BudgetsJson): string[] {
  const tiers = { ram, ssd }
  const hints = Object.entries(tiers).flatMap(([name, tier]) =>
    tier === null || tier.waits_for === null ? [] : [`${name} ${reasons[tier.waits_for]}`],
  )
  return hints.length === 0 ? [] : ['', ...hints]
}

/** A change ends with the service, and how shares were written only this command line has said. */
function toWriteDown(rows: readonly Row[], share: BudgetFlags['share']): string[] {
  const changed = rows.filter(({ budgetBytes, atStartBytes }) => budgetBytes !== atStartBytes)
  const sizes = changed.map(
    ({ setting, budgetBytes }) => `  ${setting} = "${writeSize(budgetBytes ?? 0)}"`,
  )
  const settings = [...sizes, ...(share === undefined ? [] : [`  share = ${listOf(share)}`])]
  if (settings.length === 0) return []
  return ['', 'until the service ends; to keep it, write into the config file:', ...settings]
}

function listOf(given: readonly string[]): string {
  const shares = sharesIn(given)
  const texts = shares.length === 0 ? ['none'] : shares
  return `[${texts.map((each) => JSON.stringify(each)).join(', ')}]`
}
