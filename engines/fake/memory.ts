/** All that a sequence of the fake engine remembers: rows, and what its layout keeps besides. */
import type { RecordKind } from '../../cache/types.ts'
import type { RestoreRecord } from '../types.ts'
import { createFakeBoundary } from './boundary.ts'
import { createFakeKv, rowRecordBytes } from './kv.ts'

export interface FakeMemory {
  readonly tokenCount: number
  /** Throws where a kind of the layout does not stand at the sequence's end. */
  append(token: number): void
  recordBytes(kind: RecordKind, from: number, to: number): number
  importRecord(record: RestoreRecord, bytes: Uint8Array): void
  exportRecord(kind: RecordKind, from: number, to: number, into: Uint8Array): void
  truncate(tokenCount: number): void
  /** 64 bits that depend on every byte of every record. */
  digest(): readonly [number, number]
  /** The last token, or -1. */
  lastToken(): number
}

export function createFakeMemory(kinds: readonly RecordKind[], bytesPerToken: number): FakeMemory {
  const kv = createFakeKv(bytesPerToken)
  const boundaries = kinds.filter((kind) => kind !== 'kv').map(createFakeBoundary)
  // Of rows without bytes nobody could read the last token.
  let last = -1

  const boundaryOf = (kind: RecordKind) => {
    const found = boundaries.find((boundary) => boundary.kind === kind)
    if (found === undefined) throw new Error(`this fake engine has no ${kind} records`)
    return found
  }
  const assertComplete = (): void => {
    const behind = boundaries.find((boundary) => boundary.end !== kv.tokenCount)
    if (behind === undefined) return
    throw new Error(
      `the ${behind.kind} stands at token ${behind.end} in a sequence of ${kv.tokenCount}`,
    )
  }
  const digest = (): readonly [number, number] =>
    boundaries.reduce((before, boundary) => boundary.digest(before), kv.digest())

  return {
    get tokenCount() {
      return kv.tokenCount
    },
    append(token) {
      assertComplete()
      const before = digest()
      kv.append(token, before)
      for (const boundary of boundaries) boundary.append(token, before)
      last = token
    },
    recordBytes(kind, from, to) {
      if (kind === 'kv') return rowRecordBytes(to - from, bytesPerToken)
      return boundaryOf(kind).recordBytes(to)
    },
    importRecord({ kind, from, to, keepTo }, bytes) {
      if (kind === 'kv') kv.importRows(bytes, keepTo - from)
      else boundaryOf(kind).importRecord(bytes, to)
      last = -1
    },
    exportRecord(kind, from, to, into) {
      if (kind === 'kv') return kv.exportRows(from, to, into)
      assertComplete()
      if (to !== kv.tokenCount) throw new Error(`the ${kind} of token ${to} is gone`)
      boundaryOf(kind).exportRecord(into)
    },
    truncate(count) {
      if (count === kv.tokenCount) return
      if (boundaries.length > 0 && count > 0) throw new Error('this memory cannot be cut')
      kv.truncate(count)
      for (const boundary of boundaries) boundary.clear()
      last = -1
    },
    digest,
    lastToken: () => (last < 0 ? kv.lastToken() : last),
  }
}
