/**
 * What may decide which blocks stay. `lru`: what was used longest ago goes first. `retention`: see
 * cache/retention.ts. `optimum` knows the future; see optimum.ts.
 */
export const policies = ['lru', 'retention', 'optimum'] as const
export type Policy = (typeof policies)[number]
