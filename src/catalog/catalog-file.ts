/**
 * The SQLite file behind the catalog. It holds what people query and nothing that a restore needs,
 * so no fault of it stops a start or a request: a file that cannot be read is set aside and begun
 * anew, also while the service runs.
 *
 * The native part of better-sqlite3 needs Node 22.14 and kills older ones without a word.
 * bin/prefixd.mjs asks for more than that before it loads anything of ours.
 */
import { chmodSync, closeSync, openSync, renameSync, rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { PrefixdError } from '../errors.ts'
import { schema, schemaVersion } from './schema.ts'

export interface CatalogFile {
  /** Compiled once. Whoever prepares it calls it from inside `attempt` or `commit`. */
  statement(sql: string): Database.Statement<unknown[], unknown>
  /** Runs `work` in one transaction; `otherwise` where that fails, which is warned of. */
  attempt<T>(work: () => T, otherwise: T): T
  /** As `attempt`, for what somebody was promised: throws `PREFIXD_E_CATALOG`. */
  commit<T>(work: () => T): T
  /** Takes what was erased out of the log that is written ahead, too. */
  forgetErased(): void
  close(): void
}

export interface CatalogFileOptions {
  readonly path: string
  readonly warn: (message: string, error: unknown) => void
}

type Sqlite = Database.Database

/** SQLite writes what it logged ahead into the file after so many pages of 4 KiB: few at a time. */
const pagesPerCheckpoint = 256

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '')
const isDamage = (error: unknown): boolean => /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error))

export function openCatalogFile({ path, warn }: CatalogFileOptions): CatalogFile {
  let db = openOrRenew(path, warn)
  let statements = new Map<string, Database.Statement<unknown[], unknown>>()
  /** A full disk refuses every batch; once is enough to know. */
  let lastWarning = ''

  function renew(error: unknown): void {
    db.close()
    statements = new Map()
    db = renewed(path, error, warn)
  }

  function failed(error: unknown): void {
    const code = codeOf(error)
    if (isDamage(error)) renew(error)
    else if (code !== lastWarning) warn('the catalog could not be read or written', error)
    lastWarning = code
  }

  const run = <T>(work: () => T): T => {
    const result = db.transaction(work)()
    lastWarning = ''
    return result
  }

  return {
    statement(sql) {
      const known = statements.get(sql)
      if (known !== undefined) return known
      const prepared = db.prepare<unknown[], unknown>(sql)
      statements.set(sql, prepared)
      return prepared
    },
    attempt(work, otherwise) {
      try {
        return run(work)
      } catch (error) {
        failed(error)
        return otherwise
      }
    },
    commit(work) {
      try {
        return run(work)
      } catch (error) {
        failed(error)
        throw new PrefixdError('PREFIXD_E_CATALOG', 'The catalog could not be written.', {
          next: 'Look into the log of the service, and at the free space of its directory.',
          cause: error,
        })
      }
    },
    forgetErased() {
      try {
        db.pragma('wal_checkpoint(TRUNCATE)')
      } catch (error) {
        failed(error)
      }
    },
    close: () => db.close(),
  }
}

function openOrRenew(path: string, warn: CatalogFileOptions['warn']): Sqlite {
  try {
    return open(path)
  } catch (error) {
    return renewed(path, error, warn)
  }
}

/** Without a file that can be written, what would stand in it is known until the service ends. */
function renewed(path: string, why: unknown, warn: CatalogFileOptions['warn']): Sqlite {
  try {
    setAside(path)
    const db = open(path)
    const lost = 'history, hits, labels and speeds are lost, and pins without an SSD tier'
    warn(`the catalog was begun anew (${lost}); what it was is ${path}.aside`, why)
    return db
  } catch (error) {
    warn('the catalog cannot be written; its history ends with the service', error)
    return prepared(new Database(':memory:'))
  }
}

/** Only the owner may read it: with `keep-text` it has words of prompts. */
function open(path: string): Sqlite {
  closeSync(openSync(path, 'a', 0o600))
  chmodSync(path, 0o600)
  return prepared(new Database(path))
}

function prepared(db: Sqlite): Sqlite {
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = NORMAL')
    db.pragma('secure_delete = ON')
    db.pragma(`wal_autocheckpoint = ${pagesPerCheckpoint}`)
    const version = db.pragma('user_version', { simple: true })
    const found = db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()
    const isEmpty = (found as { tables: number }).tables === 0
    if (version !== schemaVersion && !(version === 0 && isEmpty)) {
      throw new Error(`its version is ${version}, and this prefixd writes ${schemaVersion}`)
    }
    db.transaction(() => db.exec(`${schema}PRAGMA user_version = ${schemaVersion}`))()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** One is kept, for whoever wants to look at it. */
function setAside(path: string): void {
  for (const part of ['', '-wal', '-shm']) {
    rmSync(`${path}.aside${part}`, { force: true })
    try {
      renameSync(path + part, `${path}.aside${part}`)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
}
