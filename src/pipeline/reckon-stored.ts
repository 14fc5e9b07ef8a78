/** What earlier runs have stored of a model, and its speed, which an earlier run has measured. */
import { setImmediate as turn } from 'node:timers/promises'
import { type Cache, type Namespace, reckon } from '../../cache/index.ts'
import type { MeasuredRates } from '../catalog/types.ts'
import { readNote } from './namespace-note.ts'

/** See `reckon`. Behind the requests, some hundred blocks at a time. */
export async function reckonStored(
  cache: Cache,
  model: string,
  { prefillTokensPerMs }: MeasuredRates,
): Promise<void> {
  if (prefillTokensPerMs === null) return
  const own = new Map<Namespace, boolean>()
  for (const [namespace, note] of cache.notes) own.set(namespace, readNote(note)?.model === model)
  const isOwn = (namespace: Namespace): boolean => own.get(namespace) === true
  await reckon(cache.upkeep, { isOwn, prefillTokensPerMs, turn })
}
