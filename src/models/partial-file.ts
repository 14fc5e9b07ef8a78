/**
 * A download that is not whole yet: `X.partial` and `X.partial.json`. Only what the second file
 * says was synced counts after a crash, so that a hole left by the file system is never resumed.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises'

/** What tells one version of the remote file from another. */
export interface RemoteIdentity {
  /** Strong entity tag of the server that sends the bytes. */
  readonly etag: string | null
  /** Digest that the hub itself declares. */
  readonly sha256: string | null
  readonly totalBytes: number | null
}

interface PartialRecord extends RemoteIdentity {
  readonly format: 1
  readonly source: string
  readonly syncedBytes: number
}

export interface PartialFile {
  receivedBytes(): number
  /** Null: nothing is known, and nothing has been received. */
  identity(): RemoteIdentity | null
  /** Forgets all bytes; what comes next belongs to `identity`. */
  restart(identity: RemoteIdentity | null): Promise<void>
  append(chunk: Uint8Array): Promise<void>
  /** Syncs everything and returns the digest of all bytes. */
  finish(): Promise<string>
  /** Syncs what can be resumed later, and closes. */
  close(): Promise<void>
}

const recordPath = (path: string): string => `${path}.json`

/** Opens or creates; reads what is there once, for the digest. Throws the file system's errors. */
export async function openPartial(
  path: string,
  source: string,
  syncBytes: number,
): Promise<PartialFile> {
  const handle = await open(path, 'a+')
  try {
    const record = await readRecord(path, source, (await handle.stat()).size)
    await handle.truncate(record?.syncedBytes ?? 0)
    const hash = createHash('sha256')
    if (record !== null && record.syncedBytes > 0) await hashBytes(path, hash)
    return createPartialFile({ handle, path, source, syncBytes, record, hash })
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Removes both files; fine when there are none. */
export async function removePartial(path: string): Promise<void> {
  await rm(path, { force: true })
  await rm(recordPath(path), { force: true })
}

/** What is synced of an unfinished download; null when there is none. */
export async function readPartial(path: string): Promise<{
  readonly source: string
  readonly syncedBytes: number
  totalBytes: number | null
} | null> {
  try {
    return parseRecord(await readFile(recordPath(path), 'utf8'))
  } catch {
    return null
  }
}

async function readRecord(
  path: string,
  source: string,
  sizeBytes: number,
): Promise<PartialRecord | null> {
  const text = await readFile(recordPath(path), 'utf8').catch(() => null)
  const record = text === null ? null : parseRecord(text)
  const fits = record !== null && record.source === source && record.syncedBytes <= sizeBytes
  return fits ? record : null
}

function parseRecord(text: string): PartialRecord | null {
  try {
    const record = JSON.parse(text) as PartialRecord
    const valid =
      record.format === 1 && Number.isSafeInteger(record.syncedBytes) && record.syncedBytes >= 0
    return valid ? record : null
  } catch {
    return null
  }
}

async function hashBytes(path: string, hash: Hash): Promise<void> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer)
  }
}

function createPartialFile(opened: {
  handle: FileHandle
  path: string
  source: string
  syncBytes: number
  record: PartialRecord | null
  hash: Hash
}): PartialFile {
  const { handle, path, source, syncBytes } = opened
  let { hash } = opened
  let identity: RemoteIdentity | null = opened.record
  let receivedBytes = opened.record?.syncedBytes ?? 0
  let syncedBytes = receivedBytes

  async function writeRecord(): Promise<void> {
    const { etag = null, sha256 = null, totalBytes = null } = identity ?? {}
    const record: PartialRecord = { format: 1, source, etag, sha256, totalBytes, syncedBytes }
    await writeFile(`${recordPath(path)}.new`, JSON.stringify(record), { flush: true })
    await rename(`${recordPath(path)}.new`, recordPath(path))
  }

  async function sync(): Promise<void> {
    if (receivedBytes === syncedBytes) return
    await handle.datasync()
    syncedBytes = receivedBytes
    await writeRecord()
  }

  return {
    receivedBytes: () => receivedBytes,
    identity: () => identity,

    async restart(next) {
      // The record goes first: it must never vouch for bytes of another version.
      identity = next
      receivedBytes = 0
      syncedBytes = 0
      hash = createHash('sha256')
      await writeRecord()
      await handle.truncate(0)
    },

    async append(chunk) {
      let done = 0
      while (done < chunk.length) {
        const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, null)
        hash.update(chunk.subarray(done, done + bytesWritten))
        done += bytesWritten
        receivedBytes += bytesWritten
      }
      if (receivedBytes - syncedBytes >= syncBytes) await sync()
    },

    async finish() {
      await sync()
      return hash.copy().digest('hex')
    },

    async close() {
      try {
        await sync()
      } finally {
        await handle.close()
      }
    },
  }
}
