/** Puts stored records back into a sequence, and trusts no bytes that nobody has checked. */
import { firstDamagedMiB } from './checksum.ts'
import { EngineError, RestoreError } from './errors.ts'
import type { Turns } from './turns.ts'
import type { EngineSequence, RestoreRecord, RestoreResult } from './types.ts'

/**
 * Verifies and imports `records` in order, in one turn: all of them take milliseconds, and the turn
 * of another request may take seconds. Whatever fails, the sequence is empty afterwards, and a
 * RestoreError names the record and whether it is damaged. `restoreMs` is without that wait.
 */
export function restoreRecords(
  sequence: EngineSequence,
  records: readonly RestoreRecord[],
  bytesOf: (record: RestoreRecord, recordIndex: number) => Uint8Array,
  turns: Turns,
): Promise<RestoreResult> {
  if (records.length === 0) {
    return Promise.resolve({ restoredTokens: sequence.tokenCount, restoreMs: 0 })
  }
  return turns.take(() => {
    const startedAt = performance.now()
    for (const [recordIndex, record] of records.entries()) {
      try {
        importVerified(sequence, record, recordIndex, bytesOf(record, recordIndex))
      } catch (error) {
        sequence.clear()
        throw asRestoreError(error, recordIndex)
      }
    }
    return { restoredTokens: sequence.tokenCount, restoreMs: performance.now() - startedAt }
  })
}

function importVerified(
  sequence: EngineSequence,
  record: RestoreRecord,
  recordIndex: number,
  bytes: Uint8Array,
): void {
  if (!follows(record, sequence.tokenCount) || bytes.byteLength !== record.sizeBytes) {
    throw new RestoreError(
      `Record ${recordIndex} (tokens ${record.from} to ${record.to}, ${record.sizeBytes} bytes) ` +
        `does not follow the ${sequence.tokenCount} tokens of the sequence.`,
      { recordIndex, corrupt: false },
    )
  }
  const damagedMiB = record.verified === true ? null : firstDamagedMiB(bytes, record.crc32s)
  if (damagedMiB !== null) {
    throw new RestoreError(
      `Record ${recordIndex} (tokens ${record.from} to ${record.to}) fails its checksum in MiB ` +
        `${damagedMiB}; it must be quarantined and its tokens prefilled.`,
      { recordIndex, corrupt: true },
    )
  }
  sequence.importRecord(record, bytes)
  if (sequence.tokenCount !== record.keepTo) {
    throw new RestoreError(
      `The engine counts ${sequence.tokenCount} tokens after record ${recordIndex}, not ` +
        `${record.keepTo}; its tokens must be prefilled.`,
      { recordIndex, corrupt: false },
    )
  }
}

/** `kv` appends; what is exact at one position only belongs where the sequence ends, uncut. */
function follows({ kind, from, to, keepTo }: RestoreRecord, standingTokens: number): boolean {
  if (kind === 'kv') return from === standingTokens && from < keepTo && keepTo <= to
  return from < to && keepTo === to && to === standingTokens
}

function asRestoreError(error: unknown, recordIndex: number): RestoreError {
  if (error instanceof RestoreError) return error
  const code = error instanceof EngineError ? `${error.code}: ` : ''
  const message = error instanceof Error ? error.message : String(error)
  return new RestoreError(`The engine refused record ${recordIndex}: ${code}${message}`, {
    recordIndex,
    corrupt: false,
    cause: error,
  })
}
