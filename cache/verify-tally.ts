/** Counts what a verification has looked at, found and taken out. */
import type { Finding, VerifyEvent } from './types.ts'

export interface VerifyTally {
  /** A progress event now and then. */
  looked(sizeBytes: number): VerifyEvent[]
  found(finding: Finding): VerifyEvent
  removed(recordCount: number): void
  done(): VerifyEvent
}

/** A reader is told after so many records or bytes, whichever are first. */
const recordsBetween = 1000
const bytesBetween = 64 * 1024 * 1024

export function createTally(totalRecords: number): VerifyTally {
  let records = 0
  let sizeBytes = 0
  let findings = 0
  let corrupt = 0
  let removedRecords = 0
  let toldAt = { records: 0, sizeBytes: 0 }
  return {
    looked(recordBytes) {
      records++
      sizeBytes += recordBytes
      const isEnough =
        records - toldAt.records >= recordsBetween || sizeBytes - toldAt.sizeBytes >= bytesBetween
      if (!isEnough) return []
      toldAt = { records, sizeBytes }
      // Records come and go meanwhile.
      return [
        { type: 'progress', records, sizeBytes, totalRecords: Math.max(totalRecords, records) },
      ]
    },
    found(finding) {
      findings++
      if (finding.kind !== 'leak') corrupt++
      return { type: 'finding', finding }
    },
    removed(recordCount) {
      removedRecords += recordCount
    },
    done: () => ({
      type: 'done',
      report: { records, sizeBytes, findings, corrupt, removedRecords },
    }),
  }
}
