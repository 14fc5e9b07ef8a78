/** Memory like that of the RAM tier, touched already. */
import { createArena, type OwnedArena } from '../cache/tiers/arena.ts'

export type Arena = OwnedArena

export async function createWarmArena(sizeBytes: number): Promise<Arena> {
  const arena = createArena({ sizeBytes, shared: true })
  for await (const _ of arena.warmUp());
  return arena
}
