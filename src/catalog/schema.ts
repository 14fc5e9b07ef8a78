/**
 * The tables of the catalog. docs/on-disk-format.md describes them; whoever changes one raises the
 * version, and files of another version are set aside.
 */

/** Stands in SQLite's `user_version`. */
export const schemaVersion = 1

export const schema = `
CREATE TABLE pins (
  hash TEXT PRIMARY KEY,
  until_ms INTEGER,
  created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`
