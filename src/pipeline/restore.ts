/**
 * The worker restores the planned records into its sequence. A cache failure is never the client's
 * error: whatever goes wrong here costs the hit, and the engine computes instead.
 */
import { performance } from 'node:perf_hooks'
import type { LoadedRecord, Plan, PrefixLease } from '../../cache/index.ts'
import type { RestoreRecord, Sequence } from '../../engines/index.ts'

export interface Restored {
  /** Tokens that the engine says stand in its sequence. */
  readonly tokenCount: number
  readonly sizeBytes: number
  readonly restoreMs: number
  /** Reading and importing alone, without waiting for the calls of other requests. */
  readonly workMs: number
  /** Set when less was restored than planned. */
  readonly failure: Error | null
}

const toRestore = ({ planned, storedTo, bytes, crc32s }: LoadedRecord): RestoreRecord => ({
  kind: planned.kind,
  from: planned.from,
  to: storedTo,
  keepTo: planned.to,
  offset: bytes.offset,
  sizeBytes: bytes.sizeBytes,
  generation: bytes.generation,
  crc32s,
  // The cache checks what it reads from the SSD; everything else the worker itself has written.
  verified: true,
})

/** The engine names the record that it refused by its place in the window. */
const refusedIndex = (error: object): number | null => {
  const index = (error as { recordIndex?: unknown }).recordIndex
  return typeof index === 'number' ? index : null
}

/** Only a refusal of the bytes is ours to absorb; a dead worker is the request's error. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof Error && (error as { code?: unknown }).code === 'PREFIXD_E_ENGINE_RESTORE'

/** Is it restored to a boundary, and nowhere else? */
export const needsBoundary = ({ records }: Plan): boolean =>
  records.some(({ kind }) => kind !== 'kv')

/** The engine takes its memory while the first records are still read from the SSD. */
async function takeRoom(sequence: Sequence, { tier, computeFrom }: Plan): Promise<void> {
  if (tier === 'ssd') await sequence.restore([], computeFrom)
}

export async function restore(sequence: Sequence, lease: PrefixLease): Promise<Restored> {
  const startedAt = performance.now()
  let tokenCount = 0
  let sizeBytes = 0
  let doneCount = 0
  let workMs = 0
  let idleSince = startedAt
  try {
    const room = takeRoom(sequence, lease.plan)
    // A failure is seen where it is waited for, which a chain that is cut at once never does.
    room.catch(() => {})
    for await (const window of lease.windows()) {
      await room
      workMs += performance.now() - idleSince
      const records = window.map(toRestore)
      const result = await sequence.restore(records, lease.plan.computeFrom)
      workMs += result.restoreMs
      idleSince = performance.now()
      tokenCount = result.restoredTokens
      doneCount += window.length
      for (const record of window) sizeBytes += record.bytes.sizeBytes
    }
  } catch (error) {
    if (!isRefusal(error)) throw error
    // The engine has emptied the sequence: what was restored before is gone too.
    lease.rejectRecord(doneCount + (refusedIndex(error) ?? 0))
    const restoreMs = performance.now() - startedAt
    return { tokenCount: 0, sizeBytes: 0, restoreMs, workMs, failure: error }
  }
  const isShort = tokenCount < lease.plan.computeFrom
  if (isShort && tokenCount > 0 && needsBoundary(lease.plan)) {
    // Rows without what is exact at their end are no state that anything can be computed from.
    await sequence.trim(0)
    tokenCount = 0
  }
  const restoreMs = performance.now() - startedAt
  lease.confirmRestored(tokenCount)
  const failure = isShort ? new Error('a stored block could not be read back') : null
  return { tokenCount, sizeBytes, restoreMs, workMs, failure }
}
