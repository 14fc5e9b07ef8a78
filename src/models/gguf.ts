/** The little of GGUF that tells a model file from a broken one. The engine reads the rest. */
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { PrefixdError } from '../errors.ts'

const headerBytes = 24

const modelFileError = (message: string, next: string, cause?: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_MODEL_FILE', message, {
    field: 'model',
    next,
    ...(cause === undefined ? {} : { cause }),
  })

/** What is wrong with the file's beginning, as the end of a sentence; null when it is a model. */
export function ggufFault(header: Uint8Array, sizeBytes: number): string | null {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  if (header.byteLength < 4 || Buffer.from(header.subarray(0, 4)).toString('latin1') !== 'GGUF') {
    return 'is not a GGUF file'
  }
  if (header.byteLength < headerBytes || sizeBytes <= headerBytes) return 'is cut off'
  const version = view.getUint32(4, true)
  if (version !== 2 && version !== 3) {
    return `has GGUF version ${version}; prefixd reads little-endian versions 2 and 3`
  }
  if (view.getBigUint64(8, true) === 0n) return 'has a vocabulary, but no weights'
  if (view.getBigUint64(16, true) === 0n) return 'has no metadata'
  return null
}

async function readHeader(handle: FileHandle): Promise<Uint8Array> {
  const header = new Uint8Array(headerBytes)
  const { bytesRead } = await handle.read(header, 0, headerBytes, 0)
  return header.subarray(0, bytesRead)
}

/** Reads 24 bytes; false for everything that is not a readable model file. */
export async function isModelFile(path: string): Promise<boolean> {
  try {
    await using handle = await open(path, 'r')
    const stats = await handle.stat()
    return stats.isFile() && ggufFault(await readHeader(handle), stats.size) === null
  } catch {
    return false
  }
}

/** Throws PREFIXD_E_MODEL_FILE unless the file begins like a model. Returns its size in bytes. */
export async function checkModelFile(path: string): Promise<number> {
  try {
    // Opening a named pipe would wait for ever.
    const kind = await stat(path)
    if (!kind.isFile()) {
      throw modelFileError(
        `${path} is ${kind.isDirectory() ? 'a folder' : 'not a regular file'}.`,
        'Name the .gguf file itself.',
      )
    }
    await using handle = await open(path, 'r')
    const fault = ggufFault(await readHeader(handle), kind.size)
    if (fault === null) return kind.size
    throw modelFileError(
      `${path} ${fault}.`,
      'Pull or download it again, or choose another: `prefixd models ls`.',
    )
  } catch (error) {
    if (error instanceof PrefixdError) throw error
    throw modelFileError(
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
      'Check the path and its permissions.',
      error,
    )
  }
}

/** All files of a split model in order, or just this one. They have to lie side by side. */
export function weightFiles(path: string): readonly string[] {
  const split = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i.exec(path)
  if (split === null) return [path]
  const [, stem = '', part, count = '', ending = ''] = split
  if (Number(part) !== 1) {
    throw modelFileError(
      `${basename(path)} is part ${Number(part)} of a split model.`,
      `Name its first part, ${basename(stem)}-00001-of-${count}${ending}.`,
    )
  }
  return Array.from(
    { length: Number(count) },
    (_, index) => `${stem}-${String(index + 1).padStart(5, '0')}-of-${count}${ending}`,
  )
}

/** Name that the API gives to a model that is only known by its file. */
export const modelIdOf = (path: string): string =>
  basename(path)
    .replace(/\.gguf$/i, '')
    .replace(/-00001-of-\d{5}$/, '')
