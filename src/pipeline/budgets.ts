/** What may be asked of the budgets while the service runs, and what has to wait for a restart. */
import type { Cache } from '../../cache/index.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import type { BudgetAdmin, BudgetChange, Budgets } from './budget-types.ts'

export function createBudgets(cache: Cache): BudgetAdmin {
  const openedWithBytes = cache.ssdWrites()?.perDayBytes ?? null

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
    }
  }

  return {
    read,
    disk: () => cache.disk?.usage ?? null,
    async change(change) {
      check(change, read())
      const { ramBytes, ssdBytes, ssdWritesPerDayBytes: perDayBytes } = change
      if (ramBytes !== undefined) await cache.budgets.resizeRam(ramBytes)
      if (ssdBytes !== undefined) await cache.budgets.resizeSsd(ssdBytes)
      if (perDayBytes !== undefined) cache.changeSsdWrites(perDayBytes === 0 ? null : perDayBytes)
      return read()
    },
  }
}

function check(change: BudgetChange, { ram, ssd }: Budgets): void {
  const { ramBytes, ssdBytes, ssdWritesPerDayBytes: perDayBytes } = change
  const most = { ramBytes: ram.mostBytes, ssdBytes: limits.tierBytesMax }
  if (ramBytes !== undefined && !isWithin(ramBytes, limits.ramBytesMin, most.ramBytes)) {
    throw refused(
      'ram_bytes',
      `The RAM tier takes ${limits.ramBytesMin} to ${most.ramBytes} bytes; ${ramBytes} were ` +
        'asked for. Its memory was taken at the start, and never becomes more.',
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
  if (ssdBytes !== undefined && !isWithin(ssdBytes, limits.ssdBytesMin, most.ssdBytes)) {
    throw refused(
      'ssd_bytes',
      `The SSD tier takes ${limits.ssdBytesMin} bytes at least; ${ssdBytes} were asked for.`,
      'To keep nothing on the disk, restart with --ssd 0.',
    )
  }
  const isLimit = perDayBytes !== undefined && perDayBytes !== null && perDayBytes !== 0
  if (isLimit && !isWithin(perDayBytes, limits.ssdBytesMin, limits.tierBytesMax)) {
    throw refused(
      'ssd_writes_per_day_bytes',
      `The writes of a day are ${limits.ssdBytesMin} bytes at least; ${perDayBytes} were asked ` +
        'for.',
      'null lifts the limit.',
    )
  }
}

const isWithin = (bytes: number, leastBytes: number, mostBytes: number): boolean =>
  bytes >= leastBytes && bytes <= mostBytes

const refused = (field: string, message: string, next: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_INVALID_VALUE', message, { field, next })
