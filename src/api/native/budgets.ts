/** `/v1/cache/budgets`: how much the tiers may take, and changing it until the service ends. */
import type { ShareUsage, TierBudget } from '../../../cache/types.ts'
import { readShare, repeatedAt, shareForm } from '../../config/shares.ts'
import { PrefixdError } from '../../errors.ts'
import type { BudgetChange, Budgets, Share } from '../../pipeline/budget-types.ts'
import type { ApiContext, Server } from '../context.ts'
import {
  type BudgetsJson,
  type BudgetsRequestJson,
  BudgetsRequestSchema,
} from './budgets-schema.ts'

export function budgetRoutes(server: Server, { service }: ApiContext): void {
  const { budgets } = service
  server.get('/v1/cache/budgets', async (): Promise<BudgetsJson> => toBudgets(budgets.read()))
  server.patch(
    '/v1/cache/budgets',
    { schema: { body: BudgetsRequestSchema } },
    async ({ body }): Promise<BudgetsJson> => toBudgets(await budgets.change(readChange(body))),
  )
}

const readChange = (body: BudgetsRequestJson): BudgetChange => ({
  ...(body.ram_bytes === undefined ? {} : { ramBytes: body.ram_bytes }),
  ...(body.ssd_bytes === undefined ? {} : { ssdBytes: body.ssd_bytes }),
  ...(body.ssd_writes_per_day_bytes === undefined
    ? {}
    : { ssdWritesPerDayBytes: body.ssd_writes_per_day_bytes }),
  ...(body.shares === undefined ? {} : { shares: readShares(body.shares) }),
})

function readShares(texts: readonly string[]): Share[] {
  const shares = texts.map(toShare)
  const at = repeatedAt(shares)
  if (at < 0) return shares
  throw new PrefixdError('PREFIXD_E_INVALID_VALUE', `${shares[at]?.name} has two shares.`, {
    field: `shares[${at}]`,
    next: 'Leave one of them away; one for RAM and one for the SSD is written as `2GiB/20GiB`.',
  })
}

function toShare(text: string, at: number): Share {
  const share = readShare(text)
  if (share !== null) return share
  throw new PrefixdError('PREFIXD_E_INVALID_VALUE', `A share must be ${shareForm}.`, {
    field: `shares[${at}]`,
    next: 'An empty list, or `prefixd budget --share none`, lifts all of them.',
  })
}

const toBudgets = ({ ram, ssd, ssdWrites, shares, holders }: Budgets): BudgetsJson => ({
  object: 'cache.budgets',
  ram: { ...toTier(ram), most_bytes: ram.mostBytes },
  ssd: ssd && toTier(ssd),
  ssd_writes_per_day: ssdWrites && {
    budget_bytes: ssdWrites.perDayBytes,
    at_start_bytes: ssdWrites.openedWithBytes,
    used_bytes: ssdWrites.todayBytes,
  },
  shares: toShares(shares),
  holders: holders.map(({ model, tenant, bytes }) => ({
    model,
    tenant,
    ram_bytes: bytes.ram,
    ssd_bytes: bytes.ssd,
  })),
})

export const toShares = (shares: readonly ShareUsage[]): BudgetsJson['shares'] =>
  shares.map(({ name, usedBytes, mostBytes }) => ({
    name,
    ram: { used_bytes: usedBytes.ram, most_bytes: mostBytes.ram },
    ssd: { used_bytes: usedBytes.ssd, most_bytes: mostBytes.ssd },
  }))

const toTier = (tier: TierBudget): NonNullable<BudgetsJson['ssd']> => ({
  budget_bytes: tier.budgetBytes,
  at_start_bytes: tier.openedWithBytes,
  used_bytes: tier.usedBytes,
  held_bytes: tier.heldBytes,
  shrinking: tier.isShrinking,
  waits_for: tier.waitsFor,
})
