/** Budgets that say what they are told, for tests of the API alone. */
import type { BudgetAdmin, BudgetChange } from '../../src/pipeline/budget-types.ts'

export interface ScriptedBudgets extends BudgetAdmin {
  readonly changes: readonly BudgetChange[]
}

const steady = { isShrinking: false, waitsFor: null }

export function scriptedBudgets(): ScriptedBudgets {
  const changes: BudgetChange[] = []
  const read: BudgetAdmin['read'] = () => ({
    ram: {
      ...{ budgetBytes: 5e8, openedWithBytes: 1e9, usedBytes: 6e8, heldBytes: 1e9 },
      ...{ isShrinking: true, waitsFor: 'in_use', mostBytes: 1e9 },
    },
    ssd: { budgetBytes: 2e9, openedWithBytes: 2e9, usedBytes: 1e6, heldBytes: 2e6, ...steady },
    ssdWrites: { perDayBytes: null, openedWithBytes: null, todayBytes: 1e6 },
    shares: [
      { name: 'tenant:ci', usedBytes: { ram: 1e6, ssd: 0 }, mostBytes: { ram: 2e6, ssd: null } },
    ],
    holders: [{ model: 'fake', tenant: 'ci', bytes: { ram: 1e6, ssd: 1e6 } }],
  })
  return {
    changes,
    read,
    disk: () => ({ state: 'enough', freeBytes: 1e12, resumesAtBytes: null }),
    async change(change) {
      changes.push(change)
      return read()
    },
  }
}
