/** What may be asked of the budgets while the service runs, and what has to wait for a restart. */
import type { Cache, Namespace } from '../../cache/index.ts'
import { limits } from '../config/limits.ts'
import { formatSize } from '../config/sizes.ts'
import { PrefixdError } from '../errors.ts'
import type { BudgetAdmin, BudgetChange, Budgets, Holder, Share } from './budget-types.ts'

export interface BudgetsContext {
  readonly cache: Cache
  readonly shares: readonly Share[]
  /** Name of the model that a namespace belongs to, and of the tenant whose key stored it. */
  readonly modelOf: (namespace: Namespace) => string
  readonly tenantOf: (namespace: Namespace) => string | null
  /** The name of the model that answers to this one; null: none that is served. */
  readonly servedAs: (name: string) => string | null
  readonly warn: (message: string, error: unknown) => void
}

export function createBudgets(context: BudgetsContext): BudgetAdmin {
  const { cache, modelOf, tenantOf, warn } = context
  const openedWithBytes = cache.ssdWrites()?.perDayBytes ?? null
  cache.shares.groupBy((namespace) => {
    const tenant = tenantOf(namespace)
    const model = `model:${modelOf(namespace)}`
    return tenant === null ? [model] : [model, `tenant:${tenant}`]
  })
  divide(context.shares)
  // Pins are known by now.
  cache.budgets.begin()

  function divide(shares: readonly Share[]): void {
    const named = shares.map(({ name, ...share }) => [groupNamed(context, name), share] as const)
    const limitsOf = new Map(named)
    if (limitsOf.size < named.length) {
      warn('two shares are for one model, by two of its names; the last one counts', null)
    }
    cache.shares.limit(limitsOf)
    cache.budgets.evictSurplus().catch((error) => warn('a share could not be enforced', error))
  }

  function read(): Budgets {
    const { budgets, arena } = cache
    const writes = cache.ssdWrites()
    return {
      ram: { ...budgets.ram(), mostBytes: arena.sizeBytes },
      ssd: budgets.ssd(),
      ssdWrites: writes && {
        perDayBytes: writes.perDayBytes,
        openedWithBytes,
        todayBytes: writes.todayBytes,
      },
      shares: cache.shares.usage(),
      holders: holdersOf(context),
    }
  }

  return {
    read,
    disk: () => cache.disk?.usage ?? null,
    async change(change) {
      check(change, read())
      const { ramBytes, ssdBytes, ssdWritesPerDayBytes: perDayBytes, shares } = change
      if (ramBytes !== undefined) await cache.budgets.resizeRam(ramBytes)
      if (ssdBytes !== undefined) await cache.budgets.resizeSsd(ssdBytes)
      if (perDayBytes !== undefined) cache.changeSsdWrites(perDayBytes === 0 ? null : perDayBytes)
      if (shares !== undefined) divide(shares)
      return read()
    },
  }
}

/** Models go by the names that they are served under. */
function groupNamed({ servedAs, warn }: BudgetsContext, name: string): string {
  const model = /^model:(.+)$/.exec(name)?.[1]
  if (model === undefined || model === '*') return name
  const served = servedAs(model)
  if (served === null) {
    warn(
      `a share names the model ${model}, which is not served: it is for what it has stored`,
      null,
    )
  }
  return `model:${served ?? model}`
}

/** Namespaces of one model and one tenant, with other engines or salts, count together. */
function holdersOf({ cache, modelOf, tenantOf }: BudgetsContext): Holder[] {
  const holders = new Map<string, Holder & { bytes: { ram: number; ssd: number } }>()
  for (const [namespace, { ram, ssd }] of cache.shares.held()) {
    const [model, tenant] = [modelOf(namespace), tenantOf(namespace)]
    const name = JSON.stringify([model, tenant])
    const { bytes } = holders.get(name) ?? { bytes: { ram: 0, ssd: 0 } }
    holders.set(name, { model, tenant, bytes: { ram: bytes.ram + ram, ssd: bytes.ssd + ssd } })
  }
  const sumOf = ({ bytes }: Holder) => bytes.ram + bytes.ssd
  return [...holders.values()].sort((a, b) => sumOf(b) - sumOf(a))
}

function check(change: BudgetChange, { ram, ssd }: Budgets): void {
  const { ramBytes, ssdBytes, ssdWritesPerDayBytes: perDayBytes } = change
  if (ramBytes !== undefined && !isWithin(ramBytes, limits.ramBytesMin, ram.mostBytes)) {
    throw refused(
      'ram_bytes',
      `The RAM tier takes ${range(limits.ramBytesMin, ram.mostBytes)}, not ` +
        `${formatSize(ramBytes)}: its memory was taken at the start, and never becomes more.`,
      'Restart with a larger --ram for more.',
    )
  }
  if (ssd === null && (ssdBytes !== undefined || perDayBytes !== undefined)) {
    throw refused(
      ssdBytes === undefined ? 'ssd_writes_per_day_bytes' : 'ssd_bytes',
      'There is no SSD tier: the service was started with --ssd 0.',
      'Restart with --ssd SIZE.',
    )
  }
  if (ssdBytes !== undefined && !isWithin(ssdBytes, limits.ssdBytesMin, limits.tierBytesMax)) {
    throw refused(
      'ssd_bytes',
      `The SSD tier takes ${ssdRange}, not ${formatSize(ssdBytes)}.`,
      'To keep nothing on the disk, restart with --ssd 0.',
    )
  }
  const isLimit = perDayBytes !== undefined && perDayBytes !== null && perDayBytes !== 0
  if (isLimit && !isWithin(perDayBytes, limits.ssdBytesMin, limits.tierBytesMax)) {
    throw refused(
      'ssd_writes_per_day_bytes',
      `The writes of a day are ${ssdRange}, not ${formatSize(perDayBytes)}.`,
      '0 lifts the limit.',
    )
  }
}

const range = (leastBytes: number, mostBytes: number): string =>
  `${formatSize(leastBytes)} to ${formatSize(mostBytes)}`

const ssdRange = range(limits.ssdBytesMin, limits.tierBytesMax)

const isWithin = (bytes: number, leastBytes: number, mostBytes: number): boolean =>
  bytes >= leastBytes && bytes <= mostBytes

const refused = (field: string, message: string, next: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_INVALID_VALUE', message, { field, next })
