/**
 * What an engine would do with a lease, without an engine: a record's bytes are a function of all
 * tokens up to its end, so that a record in the wrong place is noticed.
 */
import { crc32 } from 'node:zlib'
import type { Cache, PrefixLease } from '../../cache/index.ts'
import type { Layout, Namespace, Rates, TokenIds } from '../../cache/types.ts'

export const toyBytesPerToken = 64
export const toyLayout: Layout = {
  kinds: ['kv'],
  sliceable: true,
  refusal: null,
  kvBytesPerToken: toyBytesPerToken,
  kvFixedBytes: 0,
  rowBytesPerToken: toyBytesPerToken,
  boundaryBytes: 0,
}
export const noRates: Rates = {
  prefillTokensPerMs: null,
  restoreBytesPerMs: { ram: null, ssd: null },
}
export const toyNamespace = 'a'.repeat(64) as Namespace

/** The row of every token: a function of all tokens up to it. */
function rowsOf(tokens: TokenIds): Uint32Array {
  let state = 2166136261
  return tokens.map((token, at) => {
    state = Math.imul(state ^ (token + at), 16777619)
    return state >>> 0
  })
}

function fillRecord(into: Uint8Array, rows: Uint32Array): void {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength)
  into.fill(0)
  rows.forEach((row, i) => {
    view.setUint32(i * toyBytesPerToken, row, true)
  })
}

export interface ToyRequest {
  readonly read?: boolean
  readonly spill?: boolean
  readonly namespace?: Namespace
  readonly rates?: Rates
}

export function beginLease(cache: Cache, tokens: TokenIds, options: ToyRequest = {}) {
  return cache.lease({
    namespace: options.namespace ?? toyNamespace,
    tokens,
    layout: toyLayout,
    rates: options.rates ?? noRates,
    read: options.read ?? true,
    spill: options.spill ?? true,
  })
}

/** Restores what the plan says and checks every row. Returns the tokens that now stand. */
export async function restoreAll(
  cache: Cache,
  lease: PrefixLease,
  tokens: TokenIds,
): Promise<number> {
  const expected = rowsOf(tokens)
  let tokenCount = 0
  for await (const window of lease.windows()) {
    for (const { planned, bytes } of window) {
      const view = cache.arena.view(bytes.offset, bytes.sizeBytes)
      const rows = new DataView(view.buffer, view.byteOffset, view.byteLength)
      for (let at = planned.from; at < planned.to; at++) {
        const row = rows.getUint32((at - planned.from) * toyBytesPerToken, true)
        if (row !== expected[at]) throw new Error(`wrong row restored for token ${at}`)
      }
      tokenCount = planned.to
    }
  }
  lease.confirmRestored(tokenCount)
  return tokenCount
}

/** Computes the rest and saves block by block, the tail included. Returns records committed. */
export async function saveAll(
  cache: Cache,
  lease: PrefixLease,
  tokens: TokenIds,
  computeFrom: number,
  isOnGrid = computeFrom % cache.blockTokens === 0,
): Promise<number> {
  const rows = rowsOf(tokens)
  let committed = 0
  const first = Math.floor(computeFrom / cache.blockTokens) * cache.blockTokens
  for (let from = first; from < tokens.length; from += cache.blockTokens) {
    const to = Math.min(from + cache.blockTokens, tokens.length)
    const sizeBytes = (to - from) * toyBytesPerToken
    const grid = isOnGrid && to - from === cache.blockTokens
    const own = tokens.subarray(from, to)
    const place = await lease.reserve({ kind: 'kv', from, to, sizeBytes, tokens: own, grid })
    if (place === null) continue
    const view = cache.arena.view(place.offset, sizeBytes)
    fillRecord(view, rows.subarray(from, to))
    if (lease.commit(place, [crc32(view)])) committed++
  }
  return committed
}

/** One whole request: restore, compute, save, release. */
export async function serveToy(cache: Cache, tokens: TokenIds, options: ToyRequest = {}) {
  const lease = beginLease(cache, tokens, options)
  try {
    const restored = await restoreAll(cache, lease, tokens)
    const committed = await saveAll(cache, lease, tokens, restored, lease.isOnGrid(restored))
    const savedTokens = await lease.settle(5_000)
    return { plan: lease.plan, restored, committed, savedTokens }
  } finally {
    lease.release()
  }
}

export const tokensOf = (...parts: readonly (readonly [start: number, count: number])[]) =>
  Uint32Array.from(
    parts.flatMap(([start, count]) => Array.from({ length: count }, (_, i) => start + i)),
  )
