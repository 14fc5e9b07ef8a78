/**
 * Folders of MLX models in the store: `NAME`, with `prefixd.json` among the model's own files.
 * While one comes it is `NAME.partial`, and gets its name when all of it is there.
 */
import { lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Surroundings } from '../config/paths.ts'
import { knownDigest } from './digest.ts'
import type { HubFile } from './hub-listing.ts'
import { type MlxFolder, readMlxFolder } from './mlx-folder.ts'
import { readPartial } from './partial-file.ts'
import { type PartialModel, type StoredModel, storePaths } from './store-paths.ts'

const recordName = 'prefixd.json'

interface FolderRecord {
  readonly format: 1
  readonly source: string
  readonly pulledAtMs: number
  /** Commit of the hub that the files are of; null for a converted model. */
  readonly commit: string | null
  /** What is pulled; empty for a converted model. */
  readonly files: readonly HubFile[]
}

/** Null when there is no whole model of this name. */
export async function findStoredFolder(
  around: Surroundings,
  name: string,
): Promise<StoredModel | null> {
  const { folder } = storePaths(around, name)
  try {
    const { sizeBytes } = await readMlxFolder(folder)
    const record = await readFolderRecord(folder)
    return {
      name,
      kind: 'mlx',
      path: folder,
      sizeBytes,
      digest: await knownDigest(around, folder),
      source: record?.source ?? 'file',
      pulledAtMs: record?.pulledAtMs ?? null,
    }
  } catch {
    return null
  }
}

/** What has come of a folder so far; null: it is no folder of ours. */
export async function partialFolder(
  around: Surroundings,
  name: string,
): Promise<PartialModel | null> {
  const { folderPartial } = storePaths(around, name)
  const stats = await lstat(folderPartial).catch(() => null)
  if (stats === null || !stats.isDirectory()) return null
  const record = await readFolderRecord(folderPartial)
  const files = record?.files ?? []
  const received = await Promise.all(files.map((file) => receivedOf(folderPartial, file)))
  return {
    name,
    kind: 'mlx',
    receivedBytes: received.reduce((sum, bytes) => sum + bytes, 0),
    totalBytes: record === null ? null : files.reduce((sum, file) => sum + file.sizeBytes, 0),
    source: record?.source ?? 'unknown',
  }
}

async function receivedOf(folder: string, file: HubFile): Promise<number> {
  if (await isWhole(folder, file)) return file.sizeBytes
  return (await readPartial(join(folder, `${file.name}.partial`)))?.syncedBytes ?? 0
}

/** A file gets its name only after it was verified. */
export const isWhole = (folder: string, { name, sizeBytes }: HubFile): Promise<boolean> =>
  lstat(join(folder, name)).then(
    (stats) => stats.isFile() && stats.size === sizeBytes,
    () => false,
  )

export async function readFolderRecord(folder: string): Promise<FolderRecord | null> {
  try {
    const record = JSON.parse(await readFile(join(folder, recordName), 'utf8')) as FolderRecord
    return record.format === 1 && Array.isArray(record.files) ? record : null
  } catch {
    return null
  }
}

export async function writeFolderRecord(
  folder: string,
  record: Omit<FolderRecord, 'format' | 'pulledAtMs'>,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const whole: FolderRecord = { format: 1, ...record, pulledAtMs: Date.now() }
  const path = join(folder, recordName)
  await writeFile(`${path}.new`, `${JSON.stringify(whole, null, 2)}\n`, { flush: true })
  await rename(`${path}.new`, path)
}

/** Gives a whole folder its name. Throws PREFIXD_E_MODEL_FILE when it is no model. */
export async function installFolder(partial: string, folder: string): Promise<MlxFolder> {
  const whole = await readMlxFolder(partial)
  await syncFolder(partial)
  await rename(partial, folder)
  await syncFolder(dirname(folder))
  return whole
}

async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

/** Removes what there is of a model, and says how many bytes that freed. */
export async function removeFolder(around: Surroundings, name: string): Promise<number> {
  const { folder, folderPartial } = storePaths(around, name)
  const half = await removeTree(folderPartial)
  // What is half removed must not be taken for a model when this process ends in between.
  await rename(folder, folderPartial).catch(() => {})
  return half + (await removeTree(folderPartial))
}

/** A link to a folder elsewhere is removed as a link, and frees next to nothing. */
async function removeTree(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => null)
  const names = stats?.isDirectory() === true ? await readdir(path) : []
  const sizes = await Promise.all(names.map((name) => lstat(join(path, basename(name)))))
  await rm(path, { recursive: true, force: true })
  return sizes.reduce((sum, { size }) => sum + size, 0)
}
