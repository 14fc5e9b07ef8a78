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

CREATE TABLE requests (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  model TEXT NOT NULL,
  tenant TEXT,
  session TEXT,
  route TEXT NOT NULL,
  status TEXT NOT NULL,
  error TEXT,
  plan TEXT,
  receipt TEXT
) STRICT;
CREATE INDEX requests_by_id ON requests (id);
CREATE INDEX requests_by_time ON requests (at_ms);

CREATE TABLE totals (
  start_ms INTEGER NOT NULL,
  span_ms INTEGER NOT NULL,
  model TEXT NOT NULL,
  requests INTEGER NOT NULL,
  hit INTEGER NOT NULL,
  partial INTEGER NOT NULL,
  miss INTEGER NOT NULL,
  bypass INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  ram_tokens INTEGER NOT NULL,
  ssd_tokens INTEGER NOT NULL,
  computed_tokens INTEGER NOT NULL,
  saved_tokens INTEGER NOT NULL,
  generated_tokens INTEGER NOT NULL,
  saved_prefill_ms REAL NOT NULL,
  ssd_written_bytes INTEGER NOT NULL,
  ssd_read_bytes INTEGER NOT NULL,
  PRIMARY KEY (start_ms, span_ms, model)
) STRICT, WITHOUT ROWID;
`
