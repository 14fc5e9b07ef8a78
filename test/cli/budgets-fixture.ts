/** What the fixture service says of its budgets: one is shrinking, one was changed. */
import type { BudgetsJson } from '../../src/api/native/budgets-schema.ts'

const gibibyte = 1024 ** 3

export const budgetsFixture: BudgetsJson = {
  object: 'cache.budgets',
  ram: {
    budget_bytes: 8 * gibibyte,
    at_start_bytes: 16 * gibibyte,
    used_bytes: 9.5 * gibibyte,
    held_bytes: 16 * gibibyte,
    most_bytes: 16 * gibibyte,
    shrinking: true,
    waits_for: 'in_use',
  },
  ssd: {
    budget_bytes: 200 * gibibyte,
    at_start_bytes: 200 * gibibyte,
    used_bytes: 148 * gibibyte,
    held_bytes: 160 * gibibyte,
    shrinking: false,
    waits_for: null,
  },
  ssd_writes_per_day: {
    budget_bytes: null,
    at_start_bytes: 50 * gibibyte,
    used_bytes: 21.4 * gibibyte,
  },
  shares: [
    {
      name: 'tenant:ci',
      ram: { used_bytes: 0.8 * gibibyte, most_bytes: 0.8 * gibibyte },
      ssd: { used_bytes: 12 * gibibyte, most_bytes: 20 * gibibyte },
    },
  ],
  holders: [
    {
      model: 'smollm2-135m',
      tenant: null,
      ram_bytes: 8.7 * gibibyte,
      ssd_bytes: 136 * gibibyte,
    },
    { model: 'smollm2-135m', tenant: 'ci', ram_bytes: 0.8 * gibibyte, ssd_bytes: 12 * gibibyte },
  ],
}
