/** Memory like that of the RAM tier, touched already. */
import { createArena } from '../cache/tiers/arena.ts'
import type { Arena } from '../cache/tiers/tier.ts'

export type { Arena }

export async function createWarmArena(sizeBytes: number): Promise<Arena> {
  const arena = createArena({ sizeBytes, shared: true })
  for await (const _ of arena.warmUp());
  return arena
}
