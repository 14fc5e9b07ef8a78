/**
 * Exact-arithmetic KV. The row of a position is a function of its token, its position and the rows
 * of all earlier positions; the next token is a function of all rows. So a wrong, missing or
 * misplaced byte changes every later answer, and call sizes change nothing.
 *
 * A digest of 64 bits per position folds the rows' bytes; it is computed from the bytes that stand
 * in the cache, on import too, and is itself never stored.
 */

/**
 * Record: `u32 LE magic | u32 token count | u32 bytes per token | u32 0`, then a row per token. A
 * cache of rows without bytes, beside which a state keeps everything, has records without bytes.
 */
export const recordHeaderBytes = 16
const recordMagic = 0x31564b46

export interface FakeKv {
  readonly tokenCount: number
  /** Appends the row of one token; `behind` is the digest of all that stands before it. */
  append(token: number, behind: readonly [number, number]): void
  /** Appends rows [skip, skip + count) of a record. Throws when it is no record of this cache. */
  importRows(record: Uint8Array, count: number): void
  /** Writes the record of [from, to), as long as `rowRecordBytes` says. */
  exportRows(from: number, to: number, into: Uint8Array): void
  truncate(tokenCount: number): void
  /** 64 bits that depend on every byte of every row. */
  digest(): readonly [number, number]
  /** The token of the last row, or -1. */
  lastToken(): number
}

export function rowRecordBytes(count: number, bytesPerToken: number): number {
  return bytesPerToken === 0 ? 0 : recordHeaderBytes + count * bytesPerToken
}

export function createFakeKv(bytesPerToken: number): FakeKv {
  const words = bytesPerToken / 4
  let tokenCount = 0
  let rows = new Uint32Array(words * 256)
  let digests = new Uint32Array(2 * 256)

  const makeRoom = (count: number): void => {
    if (count * 2 <= digests.length) return
    const tokens = Math.max(count, digests.length)
    rows = grown(rows, tokens * words)
    digests = grown(digests, tokens * 2)
  }

  /** Folds the row that stands at `position` into the digest behind it. */
  const fold = (position: number): void => {
    let low = position === 0 ? 0x9e3779b9 : (digests[2 * position - 2] ?? 0)
    let high = position === 0 ? 0x85ebca6b : (digests[2 * position - 1] ?? 0)
    for (let at = position * words; at < (position + 1) * words; at += 1) {
      low = mix(low ^ (rows[at] ?? 0), high)
      high = mix(high + (rows[at] ?? 0), low)
    }
    digests[2 * position] = low
    digests[2 * position + 1] = high
  }

  const digestBehind = (count: number): readonly [number, number] =>
    count === 0 ? [1, 2] : [digests[2 * count - 2] ?? 0, digests[2 * count - 1] ?? 0]

  return {
    get tokenCount() {
      return tokenCount
    },
    append(token, [low, high]) {
      makeRoom(tokenCount + 1)
      let word = mix(low ^ Math.imul(token + 1, 0x27d4eb2f), high + tokenCount)
      const start = tokenCount * words
      if (words > 0) rows[start] = token
      for (let at = 1; at < words; at += 1) {
        word = mix(word + at, high)
        rows[start + at] = word
      }
      fold(tokenCount)
      tokenCount += 1
    },
    importRows(record, count) {
      const stored = bytesPerToken === 0 ? count : readHeader(record, bytesPerToken)
      if (count > stored) throw new Error(`the record has ${stored} rows, not ${count}`)
      makeRoom(tokenCount + count)
      bytesOf(rows, tokenCount * words, count * words).set(
        record.subarray(recordHeaderBytes, recordHeaderBytes + count * bytesPerToken),
      )
      for (let position = tokenCount; position < tokenCount + count; position += 1) fold(position)
      tokenCount += count
    },
    exportRows(from, to, into) {
      if (bytesPerToken === 0) return
      writeHeader(into, to - from, bytesPerToken)
      into.set(bytesOf(rows, from * words, (to - from) * words), recordHeaderBytes)
    },
    truncate(count) {
      if (count > tokenCount) throw new Error(`${tokenCount} tokens cannot be cut to ${count}`)
      rows.fill(0, count * words, tokenCount * words)
      tokenCount = count
    },
    digest: () => digestBehind(tokenCount),
    lastToken: () => (tokenCount === 0 ? -1 : (rows[(tokenCount - 1) * words] ?? -1)),
  }
}

function writeHeader(record: Uint8Array, tokenCount: number, bytesPerToken: number): void {
  const header = new DataView(record.buffer, record.byteOffset, recordHeaderBytes)
  const words = [recordMagic, tokenCount, bytesPerToken, 0]
  for (const [at, word] of words.entries()) header.setUint32(4 * at, word, true)
}

/** Number of rows in the record. */
function readHeader(record: Uint8Array, bytesPerToken: number): number {
  const header = new DataView(record.buffer, record.byteOffset, recordHeaderBytes)
  const tokenCount = header.getUint32(4, true)
  const size = rowRecordBytes(tokenCount, bytesPerToken)
  const known = header.getUint32(0, true) === recordMagic
  if (!known || header.getUint32(8, true) !== bytesPerToken || record.byteLength !== size) {
    throw new Error('not a record of the fake engine with this row size')
  }
  return tokenCount
}

/** Mixes two words of 32 bits into one; every input bit reaches every output bit. */
export function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ (b >>> 15) ^ (b << 17), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13) ^ b, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function bytesOf(words: Uint32Array, from: number, count: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + from * 4, count * 4)
}

function grown(words: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length)
  larger.set(words.subarray(0, Math.min(words.length, length)))
  return larger
}
