/**
 * The tables of the catalog. docs/on-disk-format.md describes them. A new one is made in files that
 * do not have it yet; whoever changes one raises the version, and other files are set aside.
 */

/** Stands in SQLite's `user_version`. */
export const schemaVersion = 1

export const schema = `
CREATE TABLE IF NOT EXISTS pins (
  hash TEXT PRIMARY KEY,
  until_ms INTEGER,
  created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS pins_changed (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS requests (
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
CREATE INDEX IF NOT EXISTS requests_by_id ON requests (id);
CREATE INDEX IF NOT EXISTS requests_by_time ON requests (at_ms);

CREATE TABLE IF NOT EXISTS ended_sessions (
  tenant TEXT,
  session TEXT NOT NULL,
  last_number INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS ended_sessions_by_name ON ended_sessions (session);

CREATE TABLE IF NOT EXISTS totals (
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

CREATE TABLE IF NOT EXISTS ghosts (
  hash TEXT PRIMARY KEY,
  tier TEXT NOT NULL,
  cause TEXT NOT NULL,
  evicted_ms INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  boundary INTEGER NOT NULL,
  place INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ghosts_by_time ON ghosts (evicted_ms);

CREATE TABLE IF NOT EXISTS wants (
  day_ms INTEGER NOT NULL,
  tier TEXT NOT NULL,
  more_bytes INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  prefill_ms REAL NOT NULL,
  PRIMARY KEY (day_ms, tier, more_bytes)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS rates (
  namespace TEXT NOT NULL,
  device TEXT NOT NULL,
  machine TEXT NOT NULL,
  prefill_tokens_per_ms REAL,
  ram_bytes_per_ms TEXT NOT NULL,
  ssd_bytes_per_ms TEXT NOT NULL,
  measured_ms INTEGER NOT NULL,
  PRIMARY KEY (namespace, device, machine)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS prefixes (
  hash TEXT PRIMARY KEY,
  namespace TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  hits INTEGER NOT NULL,
  grown_from TEXT,
  label TEXT,
  created_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS prefixes_by_use ON prefixes (used_ms);
`
