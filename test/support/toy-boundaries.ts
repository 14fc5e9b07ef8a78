/**
 * What an engine with windows and states would do with a lease: rows as the toy engine's, and at
 * each boundary one record of each other kind, whose bytes are a function of all tokens before it.
 */
import { crc32 } from 'node:zlib'
import type { Cache, PrefixLease } from '../../cache/index.ts'
import type { CachedBlock } from '../../cache/prefix-index.ts'
import type { Layout, RecordKind, TokenIds } from '../../cache/types.ts'
import { blockTokens } from './open-toy-cache.ts'
import { noRates, toyBytesPerToken, toyLayout, toyNamespace } from './toy-engine.ts'

export const boundaryLayout: Layout = {
  ...toyLayout,
  kinds: ['kv', 'window', 'state'],
  sliceable: false,
}
/** Keeps nothing for each token. */
export const stateLayout: Layout = { ...boundaryLayout, kinds: ['kv', 'state'], kvBytesPerToken: 0 }

/** Of a window or state: one granule of the toy cache's arena. */
export const exactBytes = 64 * 1024

/** Positions that these blocks can be restored to, rising. */
export const boundariesOf = (blocks: Iterable<CachedBlock>): number[] =>
  [...blocks]
    .filter(({ records }) => records.some(({ kind }) => kind === 'state'))
    .map((block) => block.index * blockTokens + block.tokenCount)
    .sort((a, b) => a - b)

export interface BoundaryRequest {
  readonly layout?: Layout
  readonly messageEnds?: readonly number[]
  readonly breakpoints?: readonly number[]
  readonly read?: boolean
  readonly spill?: boolean
}

export function leaseBoundary(cache: Cache, tokens: TokenIds, options: BoundaryRequest = {}) {
  return cache.lease({
    namespace: toyNamespace,
    tokens,
    layout: options.layout ?? boundaryLayout,
    rates: noRates,
    marks: { messageEnds: options.messageEnds ?? [], breakpoints: options.breakpoints ?? [] },
    read: options.read ?? true,
    spill: options.spill ?? true,
  })
}

/** What every record begins with: its kind and place, and a word for all tokens up to its end. */
function wordsOf(kind: RecordKind, tokens: TokenIds, from: number, to: number): number[] {
  let word = kind.length
  for (const [at, token] of tokens.subarray(0, to).entries()) {
    word = Math.imul(word ^ (token + at), 16777619)
  }
  return [kind.length, from, to, word >>> 0]
}

/** Restores what the plan says and checks each record. Returns the tokens that then stand. */
export async function restoreBoundary(cache: Cache, lease: PrefixLease, tokens: TokenIds) {
  let rowsTo = 0
  const exact = new Set<RecordKind>()
  for await (const window of lease.windows()) {
    for (const { planned, bytes } of window) {
      const { kind, from, to } = planned
      if (kind === 'kv') rowsTo = to
      else if (to === rowsTo) exact.add(kind)
      if (bytes.sizeBytes === 0) continue
      const view = cache.arena.view(bytes.offset, 16)
      const found = [...new Uint32Array(view.slice().buffer)]
      if (String(found) !== String(wordsOf(kind, tokens, from, to))) {
        throw new Error(`the ${kind} of tokens ${from} to ${to} is another one's`)
      }
    }
  }
  const isWhole = lease.plan.records.every(({ kind }) => kind === 'kv' || exact.has(kind))
  const restored = isWhole ? rowsTo : 0
  lease.confirmRestored(restored)
  return restored
}

export async function saveRecord(
  cache: Cache,
  lease: PrefixLease,
  tokens: TokenIds,
  record: { readonly kind: RecordKind; readonly from: number; readonly to: number },
  layout = boundaryLayout,
): Promise<boolean> {
  const { kind, from, to } = record
  const rowBytes = layout.kvBytesPerToken === 0 ? 0 : (to - from) * toyBytesPerToken
  const sizeBytes = kind === 'kv' ? rowBytes : exactBytes
  const own = tokens.subarray(from, to)
  const place = await lease.reserve({ kind, from, to, sizeBytes, tokens: own, grid: false })
  if (place === null) return false
  const view = cache.arena.view(place.offset, sizeBytes)
  view.fill(0)
  const words = new Uint8Array(Uint32Array.from(wordsOf(kind, tokens, from, to)).buffer)
  view.set(words.subarray(0, sizeBytes))
  return lease.commit(place, sizeBytes === 0 ? [] : [crc32(view)])
}

/** Computes what the plan left, cut at its boundaries, and saves it up to the end. */
export async function saveBoundaries(
  cache: Cache,
  lease: PrefixLease,
  tokens: TokenIds,
  computeFrom: number,
  layout = boundaryLayout,
): Promise<void> {
  const { blockTokens } = cache
  const { boundaries } = lease.plan
  const cuts = new Set([...boundaries, tokens.length])
  for (let position = computeFrom + 1; position <= tokens.length; position++) {
    const from = position - 1 - ((position - 1) % blockTokens)
    const isBoundary = cuts.has(position)
    if (position % blockTokens !== 0 && !isBoundary) continue
    for (const kind of isBoundary ? layout.kinds : (['kv'] as const)) {
      await saveRecord(cache, lease, tokens, { kind, from, to: position }, layout)
    }
  }
}

/** One whole request: restore, compute, save, release. */
export async function serveBoundary(cache: Cache, tokens: TokenIds, options: BoundaryRequest = {}) {
  const lease = leaseBoundary(cache, tokens, options)
  try {
    const restored = await restoreBoundary(cache, lease, tokens)
    await saveBoundaries(cache, lease, tokens, restored, options.layout)
    const savedTokens = await lease.settle(5_000)
    return { plan: lease.plan, restored, savedTokens }
  } finally {
    lease.release()
  }
}
