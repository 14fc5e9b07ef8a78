/**
 * What is known of prefixes beside what is stored of them: hits, where they grew from, and with
 * `keep-text` their first words. Notes wait in memory, the latest of each prefix, and are written
 * behind the requests.
 */
import { limits } from '../config/limits.ts'
import type { CatalogFile } from './catalog-file.ts'
import type { PrefixLog, PrefixRecord } from './types.ts'
import type { WriteQueue } from './write-queue.ts'

const upsert = `
INSERT INTO prefixes (hash, namespace, tokens, hits, grown_from, label, created_ms, used_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
  hits = max(hits, excluded.hits),
  grown_from = coalesce(grown_from, excluded.grown_from),
  label = coalesce(excluded.label, label),
  used_ms = max(used_ms, excluded.used_ms)`

const columns = `
hash, namespace, tokens, hits, grown_from AS grownFrom, label,
created_ms AS createdAtMs, used_ms AS usedAtMs`
const one = `SELECT ${columns} FROM prefixes WHERE hash = ?`
const page = `SELECT ${columns} FROM prefixes WHERE hash > ? ORDER BY hash LIMIT ?`
const remove = 'DELETE FROM prefixes WHERE hash = ?'
const forgetWords = 'UPDATE prefixes SET label = NULL WHERE label IS NOT NULL'

export function prefixLog(file: CatalogFile, queue: WriteQueue): PrefixLog {
  /** Null: it is to be removed. */
  const unwritten = new Map<string, PrefixRecord | null>()

  function write(): void {
    let left = limits.catalogBatch
    for (const [hash, prefix] of unwritten) {
      if (left-- === 0) {
        queue.push(write)
        return
      }
      unwritten.delete(hash)
      if (prefix === null) file.statement(remove).run(hash)
      else file.statement(upsert).run(...valuesOf(prefix))
    }
  }

  function later(hash: string, prefix: PrefixRecord | null): void {
    if (unwritten.size === 0) queue.push(write)
    unwritten.set(hash, prefix)
  }

  return {
    note(prefix) {
      const before = unwritten.get(prefix.hash)
      const grownFrom = before?.grownFrom ?? prefix.grownFrom
      const label = prefix.label ?? before?.label ?? null
      later(prefix.hash, { ...prefix, grownFrom, label })
    },
    forget: (hash) => later(hash, null),
    find(hash) {
      const noted = unwritten.get(hash)
      if (noted === null) return null
      const read = () => file.statement(one).get(hash) as PrefixRecord | undefined
      const written = file.attempt(read, undefined)
      if (noted === undefined || written === undefined) return noted ?? written ?? null
      const grownFrom = written.grownFrom ?? noted.grownFrom
      return { ...noted, grownFrom, label: noted.label ?? written.label }
    },
    page: (after) =>
      file.attempt(
        () => file.statement(page).all(after, limits.catalogBatch) as PrefixRecord[],
        [],
      ),
    written: () => queue.settled(),
  }
}

/** Whoever switches `keep-text` off wants no word to stay, not even in what SQLite logs ahead. */
export function forgetLabels(file: CatalogFile): void {
  const forgotten = file.attempt(() => file.statement(forgetWords).run().changes, 0)
  if (forgotten > 0) file.forgetErased()
}

const valuesOf = (prefix: PrefixRecord) => [
  prefix.hash,
  prefix.namespace,
  prefix.tokens,
  prefix.hits,
  prefix.grownFrom,
  prefix.label,
  prefix.createdAtMs,
  prefix.usedAtMs,
]
