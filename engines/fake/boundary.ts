/**
 * What the fake engine keeps beside its rows: a window of the last tokens, and a recurrent state.
 * Neither can be computed from the rows, neither can be cut back, and every later answer depends on
 * every byte of both.
 */
import type { RecordKind } from '../../cache/types.ts'
import { mix } from './kv.ts'

type BoundaryKind = Exclude<RecordKind, 'kv'>

/** Tokens that a window reaches back. */
export const fakeWindowTokens = 24
const wordsPerToken = 2
const stateWords = 16

/** Record: `u32 LE magic | u32 first position | u32 end | u32 0`, then the words. */
const headerWords = 4
const magics: Readonly<Record<BoundaryKind, number>> = { window: 0x31574b46, state: 0x31534b46 }

type Digest = readonly [low: number, high: number]

/** One kind's memory of a sequence. */
export interface FakeBoundary {
  readonly kind: BoundaryKind
  /** Position that it stands at; every token moves it by one. */
  readonly end: number
  /** Takes the next token in; `digest` is of all that stood before it. */
  append(token: number, digest: Digest): void
  recordBytes(end: number): number
  /** Throws the engine's own guard unless the record is this kind's, and of exactly this end. */
  importRecord(record: Uint8Array, end: number): void
  exportRecord(into: Uint8Array): void
  /** Folds every word into a digest. */
  digest(before: Digest): Digest
  clear(): void
}

export function createFakeBoundary(kind: BoundaryKind): FakeBoundary {
  let end = 0
  let words: number[] = startOf(kind)
  const firstOf = (position: number): number =>
    kind === 'window' ? Math.max(0, position - fakeWindowTokens) : Math.max(0, position - 1)
  const wordsAt = (position: number): number =>
    kind === 'window' ? (position - firstOf(position)) * wordsPerToken : stateWords

  return {
    kind,
    get end() {
      return end
    },
    append(token, [low, high]) {
      if (kind === 'window') {
        words.push(token, mix(low ^ token, high + end))
        words = words.slice(-fakeWindowTokens * wordsPerToken)
      } else words = words.map((word, at) => mix(word ^ (token + at), mix(low + at, high)))
      end += 1
    },
    recordBytes: (position) => 4 * (headerWords + wordsAt(position)),
    importRecord(record, position) {
      const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
      const word = (at: number): number => view.getUint32(4 * at, true)
      const isWhole = record.byteLength === 4 * (headerWords + wordsAt(position))
      if (!isWhole || word(0) !== magics[kind]) throw new Error(`not a ${kind} record of this size`)
      if (word(1) !== firstOf(position) || word(2) !== position) {
        throw new Error(
          `the ${kind} has positions ${word(1)} to ${word(2)} in a sequence of ${position} tokens`,
        )
      }
      words = Array.from({ length: wordsAt(position) }, (_, at) => word(headerWords + at))
      end = position
    },
    exportRecord(into) {
      const view = new DataView(into.buffer, into.byteOffset, into.byteLength)
      const all = [magics[kind], firstOf(end), end, 0, ...words]
      for (const [at, word] of all.entries()) view.setUint32(4 * at, word, true)
    },
    digest(before) {
      let [low, high] = before
      for (const word of words) {
        low = mix(low ^ word, high)
        high = mix(high + word, low)
      }
      return [low, high]
    },
    clear() {
      end = 0
      words = startOf(kind)
    },
  }
}

const startOf = (kind: BoundaryKind): number[] =>
  kind === 'window' ? [] : Array.from({ length: stateWords }, (_, at) => mix(at + 1, 0x51ed270b))

/** Of all of these kinds together, where a window is full. */
export const fakeBoundaryBytes = (kinds: readonly RecordKind[]): number =>
  kinds
    .filter((kind) => kind !== 'kv')
    .reduce((sum, kind) => sum + createFakeBoundary(kind).recordBytes(fakeWindowTokens), 0)
