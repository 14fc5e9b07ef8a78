/**
 * Evicted blocks, remembered by their names: a request that wants one was not unlucky, it came too
 * late. How much more room would have kept it is what was evicted since then, itself included, as
 * if what goes first were what was used longest ago. What went twice counts twice, so that more is
 * never promised than there is.
 */
import { limits } from '../config/limits.ts'
import type { CatalogFile } from './catalog-file.ts'
import type { GhostLog, Missed } from './types.ts'
import { type WantLog, wantLog } from './wants.ts'
import type { WriteQueue } from './write-queue.ts'

interface Ghost {
  readonly tier: 'ram' | 'ssd'
  readonly cause: 'room' | 'asked'
  readonly evicted_ms: number
  readonly size_bytes: number
  readonly tokens: number
  /** Had it what is exact at its end? 1: yes. */
  readonly boundary: number
  /** Bytes that this tier had evicted to make room, this block's included. */
  readonly place: number
}

type Row = Ghost & { readonly hash: string }

export interface GhostOptions {
  readonly file: CatalogFile
  readonly queue: WriteQueue
  readonly now: () => number
}

const rowsPerRead = 2000
const oneMebibyte = 1024 ** 2

const upsert = 'REPLACE INTO ghosts VALUES (?, ?, ?, ?, ?, ?, ?, ?)'
const latest = 'SELECT tier, max(place) AS place FROM ghosts GROUP BY tier'
const page = 'SELECT * FROM ghosts WHERE hash > ? ORDER BY hash LIMIT ?'

export function ghostLog({ file, queue, now }: GhostOptions): GhostLog {
  /** In the order in which they went. */
  const ghosts = new Map<string, Ghost>()
  const unwritten = new Set<string>()
  const evictedBytes = evictedSoFar(file)
  const wants = wantLog({ file, queue, now })
  readEarlier(file, ghosts)

  function write(): void {
    let left = limits.catalogBatch
    for (const hash of unwritten) {
      if (left-- === 0) {
        queue.push(write)
        return
      }
      unwritten.delete(hash)
      const ghost = ghosts.get(hash)
      if (ghost !== undefined) file.statement(upsert).run(hash, ...valuesOf(ghost))
    }
  }

  return {
    onEvicted({ hash, tier, cause, sizeBytes, tokenCount, hasBoundary }) {
      if (cause === 'room') evictedBytes[tier] += sizeBytes
      ghosts.delete(hash)
      ghosts.set(hash, {
        tier,
        cause,
        evicted_ms: now(),
        size_bytes: sizeBytes,
        tokens: tokenCount,
        boundary: hasBoundary ? 1 : 0,
        place: evictedBytes[tier],
      })
      const [oldest] = ghosts.keys()
      if (ghosts.size > limits.catalogGhosts && oldest !== undefined) ghosts.delete(oldest)
      if (unwritten.size === 0) queue.push(write)
      unwritten.add(hash)
    },
    whenEvicted(hash) {
      const ghost = ghosts.get(hash)
      return ghost === undefined ? null : { atMs: ghost.evicted_ms, cause: ghost.cause }
    },
    missed: (missed) => countMissed(missed, ghosts, evictedBytes, wants),
    advice: () => wants.advice(),
  }
}

const valuesOf = (ghost: Ghost) => [
  ghost.tier,
  ghost.cause,
  ghost.evicted_ms,
  ghost.size_bytes,
  ghost.tokens,
  ghost.boundary,
  ghost.place,
]

function evictedSoFar(file: CatalogFile): Record<Ghost['tier'], number> {
  const rows = file.attempt(() => file.statement(latest).all() as Pick<Row, 'tier' | 'place'>[], [])
  const bytes = { ram: 0, ssd: 0 }
  for (const { tier, place } of rows) bytes[tier] = place
  return bytes
}

/** A page at a time, behind whatever the start has to do. */
function readEarlier(file: CatalogFile, ghosts: Map<string, Ghost>): void {
  const read = (after: string): void => {
    const rows = file.attempt(() => file.statement(page).all(after, rowsPerRead) as Row[], [])
    for (const { hash, ...ghost } of rows) {
      if (!ghosts.has(hash) && ghosts.size < limits.catalogGhosts) ghosts.set(hash, ghost)
    }
    const last = rows.at(-1)
    if (last !== undefined) setTimeout(read, 0, last.hash).unref()
  }
  read('')
}

/** To restore a block all before it have to be there, and where its model needs more, that too. */
function countMissed(
  { blocks, needsBoundary, msPerToken }: Missed,
  ghosts: ReadonlyMap<string, Ghost>,
  evictedBytes: Readonly<Record<Ghost['tier'], number>>,
  wants: WantLog,
): void {
  let moreBytes = 0
  let tokens = 0
  let requests = 1
  for (const hash of blocks) {
    const ghost = ghosts.get(hash)
    if (ghost === undefined || ghost.cause === 'asked') return
    const { tier, place, size_bytes: sizeBytes } = ghost
    moreBytes = Math.max(moreBytes, evictedBytes[tier] - place + sizeBytes, oneMebibyte)
    tokens += ghost.tokens
    if (needsBoundary && ghost.boundary === 0) continue
    const prefillMs = msPerToken === null ? 0 : tokens * msPerToken
    wants.add(tier, moreBytes, { requests, tokens, prefillMs })
    tokens = 0
    requests = 0
  }
}
