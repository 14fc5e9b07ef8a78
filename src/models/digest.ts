/**
 * sha256 of weights. A big file is read once: the digest is remembered under path, size, time and
 * inode. Names that other programs made from the content are believed.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { limits } from '../config/limits.ts'
import { modelsDir, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { weightFiles } from './gguf.ts'
import { readMlxFolder } from './mlx-folder.ts'
import type { PullProgress } from './pull-types.ts'

interface RememberedDigest {
  readonly path: string
  readonly sizeBytes: number
  /** Nanoseconds and inode, as decimal digits: both can be larger than a double holds. */
  readonly modifiedNs: string
  readonly inode: string
  readonly sha256: string
}

interface DigestFile {
  readonly format: 1
  /** Last used last. */
  readonly digests: readonly RememberedDigest[]
}

export interface DigestOptions {
  readonly around: Surroundings
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: PullProgress) => void
}

type FileIdentity = Omit<RememberedDigest, 'sha256'>

async function identify(path: string): Promise<FileIdentity> {
  const { size, mtimeNs, ino } = await stat(path, { bigint: true })
  return { path, sizeBytes: Number(size), modifiedNs: String(mtimeNs), inode: String(ino) }
}

const isSameFile = (a: FileIdentity, b: FileIdentity): boolean =>
  a.path === b.path &&
  a.sizeBytes === b.sizeBytes &&
  a.modifiedNs === b.modifiedNs &&
  a.inode === b.inode

const memoryPath = (around: Surroundings): string => join(modelsDir(around), 'digests.json')

async function readMemory(around: Surroundings): Promise<readonly RememberedDigest[]> {
  try {
    const memory = JSON.parse(await readFile(memoryPath(around), 'utf8')) as DigestFile
    const isValid = memory.format === 1 && Array.isArray(memory.digests)
    return isValid ? memory.digests.filter(({ sha256 }) => /^[0-9a-f]{64}$/.test(sha256)) : []
  } catch {
    return []
  }
}

let writing: Promise<void> = Promise.resolve()

/**
 * Remembers the digest of a file as it is now. What another process remembers at the same moment
 * may be lost, and a folder that cannot be written remembers nothing: both cost one more reading.
 */
export function rememberDigest(around: Surroundings, path: string, sha256: string): Promise<void> {
  writing = writing.then(async () => {
    try {
      const identity = await identify(path)
      const others = (await readMemory(around)).filter((known) => known.path !== path)
      const digests = [...others, { ...identity, sha256 }].slice(-limits.rememberedDigests)
      const target = memoryPath(around)
      await mkdir(dirname(target), { recursive: true })
      const fresh = `${target}.${process.pid}.new`
      await writeFile(fresh, JSON.stringify({ format: 1, digests } satisfies DigestFile, null, 1))
      await rename(fresh, target)
    } catch {
      // See above: only time is lost.
    }
  })
  return writing
}

/** The digest in a content-addressed name of Ollama's or the hub's cache; null for other paths. */
export function digestFromName(path: string): string | null {
  if (basename(dirname(path)) !== 'blobs') return null
  const name = basename(path)
  const ollama = /^sha256-([0-9a-f]{64})$/.exec(name)
  if (ollama !== null) return ollama[1] ?? null
  const isHubCache = basename(dirname(dirname(path))).startsWith('models--')
  return isHubCache && /^[0-9a-f]{64}$/.test(name) ? name : null
}

/** A digest that is known without reading the weights; null when there is none. */
export async function knownDigest(around: Surroundings, path: string): Promise<string | null> {
  const folder = await folderFiles(path).catch(() => null)
  if (folder === null) return knownFileDigest(around, path)
  const digests: string[] = []
  for (const name of folder) {
    const digest = await knownFileDigest(around, join(path, name))
    if (digest === null) return null
    digests.push(digest)
  }
  return folderDigest(folder, digests)
}

async function knownFileDigest(around: Surroundings, path: string): Promise<string | null> {
  try {
    const real = await realpath(path)
    const named = digestFromName(real)
    if (named !== null) return named
    const identity = await identify(real)
    return (await readMemory(around)).find((known) => isSameFile(known, identity))?.sha256 ?? null
  } catch {
    return null
  }
}

/** Files of an MLX model; null: `path` is no folder. */
async function folderFiles(path: string): Promise<readonly string[] | null> {
  if (!(await stat(path)).isDirectory()) return null
  return (await readMlxFolder(path)).files
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Config and tokenizer count as the weights do: other ones make other tokens, and other rows. */
const folderDigest = (names: readonly string[], digests: readonly string[]): string =>
  digestOf(names.map((name, index) => `${name} ${digests[index]}`).join('\n'))

/**
 * sha256 of the weights as hex digits; of a split model, over the digests of its parts; of a
 * folder, over the names and digests of its files. Reads only what is not known yet, about 1 GB/s.
 * Throws PREFIXD_E_MODEL_FILE, or the signal's reason.
 */
export async function weightsDigest(path: string, options: DigestOptions): Promise<string> {
  const folder = await folderFiles(path).catch((error: unknown) => {
    if (error instanceof PrefixdError) throw error
    return null
  })
  const files = folder?.map((name) => join(path, name)) ?? weightFiles(path)
  const digests: string[] = []
  for (const file of files) {
    digests.push((await knownFileDigest(options.around, file)) ?? (await readDigest(file, options)))
  }
  if (folder !== null) return folderDigest(folder, digests)
  const [only] = digests
  return files.length === 1 && only !== undefined ? only : digestOf(digests.join('\n'))
}

async function readDigest(path: string, options: DigestOptions): Promise<string> {
  try {
    const real = await realpath(path)
    const before = await identify(real)
    const sha256 = await hashFile(real, before.sizeBytes, options)
    if (!isSameFile(before, await identify(real))) {
      throw new PrefixdError('PREFIXD_E_MODEL_FILE', `${path} changed while it was read.`, {
        field: 'model',
        next: 'Wait until whatever writes it is done, and try again.',
      })
    }
    await rememberDigest(options.around, real, sha256)
    return sha256
  } catch (error) {
    options.signal?.throwIfAborted()
    if (error instanceof PrefixdError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new PrefixdError('PREFIXD_E_MODEL_FILE', `${path} cannot be read (${code}).`, {
      field: 'model',
      next: 'Check the path and its permissions; all parts of a split model lie side by side.',
      cause: error,
    })
  }
}

/** sha256 of one file, always read. Throws the file system's errors, or the signal's reason. */
export async function hashFile(
  path: string,
  totalBytes: number,
  { signal, onProgress }: Omit<DigestOptions, 'around'>,
): Promise<string> {
  const hash = createHash('sha256')
  let receivedBytes = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 4 * 1024 * 1024, signal })) {
    hash.update(chunk as Buffer)
    receivedBytes += (chunk as Buffer).length
    onProgress?.({ receivedBytes, totalBytes })
  }
  return hash.digest('hex')
}
