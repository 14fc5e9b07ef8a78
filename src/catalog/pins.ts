/** What somebody wants to keep. Written before the call returns: a pin is a promise. */
import type { CatalogFile } from './catalog-file.ts'
import type { Pin, PinStore } from './types.ts'

interface Row {
  readonly hash: string
  readonly until_ms: number | null
  readonly created_ms: number
}

export const pinStore = (file: CatalogFile): PinStore => ({
  all: () =>
    file.attempt(() => {
      const rows = file.statement('SELECT * FROM pins ORDER BY created_ms, hash').all() as Row[]
      return rows.map((row) => ({
        hash: row.hash,
        untilMs: row.until_ms,
        createdAtMs: row.created_ms,
      }))
    }, []),
  put: ({ hash, untilMs, createdAtMs }: Pin) => {
    file.commit(() =>
      file.statement('REPLACE INTO pins VALUES (?, ?, ?)').run(hash, untilMs, createdAtMs),
    )
  },
  remove: (hash) => {
    file.commit(() => file.statement('DELETE FROM pins WHERE hash = ?').run(hash))
  },
})
