/**
 * What somebody wants to keep. Written before the call resolves: a pin is a promise.
 *
 * Two places remember it, so that the loss of either forgets nothing: the index of the SSD tier,
 * which a change must have reached, and the catalog, which follows. Without an SSD tier the catalog
 * is the only one. The next start believes the later one, and makes the other one say the same.
 */
import { PrefixdError } from '../errors.ts'
import type { CatalogFile } from './catalog-file.ts'
import { changedPins, decodePins, encodePins, latestPins, noPins, type PinSet } from './pin-set.ts'
import type { PinStore } from './types.ts'

/** A text that is durable when `write` resolves; null: there is none. */
export interface PinText {
  read(): string | null
  write(text: string): Promise<void>
}

export interface PinStoreOptions {
  readonly file: CatalogFile
  /** In the index of the SSD tier; null: there is no such tier. */
  readonly index: PinText | null
  readonly now: () => number
  readonly warn: (message: string, error: unknown) => void
}

export function pinStore({ file, index, now, warn }: PinStoreOptions): PinStore {
  const inCatalog = file.attempt(() => readRows(file), noPins)
  const inIndex = readText(index, warn)
  let known = latestPins(inCatalog, inIndex, now())
  if (encodePins(inCatalog) !== encodePins(known)) {
    file.attempt(() => writeRows(file, known), undefined)
  }
  if (index !== null && encodePins(inIndex) !== encodePins(known)) {
    index.write(encodePins(known)).catch((error) => {
      warn('the pins are in the catalog only: the index of the SSD tier did not take them', error)
    })
  }

  return {
    all: () => known.pins,
    async replace(pins) {
      const next = changedPins(known, pins, now())
      if (index === null) {
        file.commit(() => writeRows(file, next))
      } else {
        await index.write(encodePins(next)).catch((error) => {
          throw notWritten(error)
        })
        file.attempt(() => writeRows(file, next), undefined)
      }
      known = next
    },
  }
}

function readText(index: PinText | null, warn: PinStoreOptions['warn']): PinSet {
  try {
    const text = index?.read() ?? null
    return text === null ? noPins : decodePins(text)
  } catch (error) {
    warn('the pins in the index of the SSD tier cannot be read; those of the catalog count', error)
    return noPins
  }
}

interface Row {
  readonly hash: string
  readonly until_ms: number | null
  readonly created_ms: number
}

function readRows(file: CatalogFile): PinSet {
  const rows = file.statement('SELECT * FROM pins ORDER BY created_ms, hash').all() as Row[]
  const changed = file.statement('SELECT at_ms FROM pins_changed').get()
  return {
    changedAtMs: (changed as { at_ms: number } | undefined)?.at_ms ?? 0,
    pins: rows.map((row) => ({
      hash: row.hash,
      untilMs: row.until_ms,
      createdAtMs: row.created_ms,
    })),
  }
}

/** All of them: the catalog may have been begun anew since the last change. */
function writeRows(file: CatalogFile, { changedAtMs, pins }: PinSet): void {
  file.statement('DELETE FROM pins').run()
  const insert = file.statement('INSERT INTO pins VALUES (?, ?, ?)')
  for (const { hash, untilMs, createdAtMs } of pins) insert.run(hash, untilMs, createdAtMs)
  file.statement('REPLACE INTO pins_changed VALUES (1, ?)').run(changedAtMs)
}

const notWritten = (cause: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_CATALOG', 'The index of the SSD tier could not be written.', {
    next: 'Look into the log of the service, and at the free space of its directory.',
    cause,
  })
