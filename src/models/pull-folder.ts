/** Pulling a whole repository of the hub: file by file into a folder of the store. */
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PrefixdError } from '../errors.ts'
import { rememberDigest } from './digest.ts'
import { downloadFromHub, refuseWithoutRoom } from './hub.ts'
import { type HubFile, type HubListing, listRepository } from './hub-listing.ts'
import { formatHubRef, type HubRepo, storeNameOf } from './hub-ref.ts'
import { removePartial } from './partial-file.ts'
import { type PulledModel, pullOnce, takenOver } from './pull-once.ts'
import { diskError, pullError, type Settled } from './pull-types.ts'
import { findStored } from './store.ts'
import { installFolder, isWhole, readFolderRecord, writeFolderRecord } from './store-folder.ts'
import { type StoredModel, storePaths } from './store-paths.ts'

interface Folder {
  readonly repo: HubRepo
  readonly name: string
  /** Where the files come together. */
  readonly path: string
}

/** Throws PREFIXD_E_MODEL_PULL, or the signal's reason; what has come is gone on with later. */
export function pullFolder(repo: HubRepo, settled: Settled): Promise<PulledModel> {
  const { around, signal } = settled
  const name = storeNameOf(repo)
  const path = storePaths(around, name).folderPartial
  return pullOnce(
    {
      name,
      find: () => findStored(around, name, 'mlx'),
      bring: async (isHeld) => {
        try {
          return await bring({ repo, name, path }, settled, isHeld)
        } catch (error) {
          signal.throwIfAborted()
          throw error instanceof PrefixdError ? error : diskError(error, path)
        }
      },
    },
    settled,
  )
}

async function bring(
  { repo, name, path }: Folder,
  settled: Settled,
  isHeld: () => Promise<boolean>,
): Promise<StoredModel> {
  const { around } = settled
  const listing = await listRepository(repo, settled)
  await dropOthers(path, listing)
  await writeFolderRecord(path, { source: formatHubRef(repo), ...listing })
  await refuseWithoutRoom(path, await missingBytes(path, listing.files))
  const digests = await download({ repo, name, path }, listing, settled)
  if (!(await isHeld())) throw takenOver(name)
  const { folder } = storePaths(around, name)
  await installFolder(path, folder)
  for (const [file, sha256] of digests) await rememberDigest(around, join(folder, file), sha256)
  const installed = await findStored(around, name, 'mlx')
  if (installed === null) throw takenOver(name)
  return installed
}

/** Of an earlier commit only files stay that are known to be the same by their content. */
async function dropOthers(path: string, listing: HubListing): Promise<void> {
  const before = await readFolderRecord(path)
  if (before === null) return rm(path, { recursive: true, force: true })
  if (before.commit === listing.commit) return
  for (const { name, sha256 } of before.files) {
    const same =
      sha256 !== null && listing.files.some((f) => f.name === name && f.sha256 === sha256)
    if (!same) await rm(join(path, name), { force: true })
  }
}

async function missingBytes(path: string, files: readonly HubFile[]): Promise<number> {
  let missing = 0
  for (const file of files) if (!(await isWhole(path, file))) missing += file.sizeBytes
  return missing
}

/** Returns the digests of all files that are known. */
async function download(
  { repo, path }: Folder,
  { commit, files }: HubListing,
  settled: Settled,
): Promise<ReadonlyMap<string, string>> {
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const digests = new Map<string, string>()
  let doneBytes = 0
  for (const file of files) {
    const { name, sizeBytes, sha256 } = file
    if (sha256 !== null) digests.set(name, sha256)
    if (!(await isWhole(path, file))) {
      const ref = { ...repo, file: name, revision: commit }
      const downloaded = await downloadFromHub({
        ...settled,
        ref,
        partialPath: join(path, `${name}.partial`),
        expected: { sha256, sizeBytes },
        onProgress: ({ receivedBytes }) =>
          settled.onProgress({ receivedBytes: doneBytes + receivedBytes, totalBytes }),
      })
      if (downloaded.sizeBytes !== sizeBytes) {
        await removePartial(downloaded.path)
        throw wrongSize(formatHubRef(ref), downloaded.sizeBytes, sizeBytes)
      }
      digests.set(name, downloaded.sha256)
      await rm(`${downloaded.path}.json`, { force: true })
      await rename(downloaded.path, join(path, name))
    }
    doneBytes += sizeBytes
    settled.onProgress({ receivedBytes: doneBytes, totalBytes })
  }
  return digests
}

const wrongSize = (name: string, sentBytes: number, listedBytes: number): PrefixdError =>
  pullError(
    `What the hub sent for ${name} has ${sentBytes} bytes, not ${listedBytes}.`,
    'Try again; if it stays wrong, do not use this source.',
  )
