/** The slab as a file: opened past the page cache where that works, and grown in reserved steps. */
import { close, constants, ftruncateSync, open, read, unlinkSync, write } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { promisify } from 'node:util'
import { CacheError } from '../errors.ts'
import { bypassPageCache, type LibcError, mapPrivate, preallocate } from './libc.ts'

/** Positions, lengths and memory of every read and write are multiples of this. */
export const ioUnitBytes = 4096

/** The two calls that move bytes; tests replace them to make faults. Both resolve with a count. */
export interface SlabIo {
  read(fd: number, into: Uint8Array, position: number): Promise<number>
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>
}

export const fileIo: SlabIo = {
  read: (fd, into, position) =>
    new Promise((resolve, reject) => {
      read(fd, into, 0, into.length, position, (error, count) => {
        if (error === null) resolve(count)
        else reject(error)
      })
    }),
  write: (fd, bytes, position) =>
    new Promise((resolve, reject) => {
      write(fd, bytes, 0, bytes.length, position, (error, count) => {
        if (error === null) resolve(count)
        else reject(error)
      })
    }),
}

export const closeFile = promisify(close)
const openFile = promisify(open)

export function codeOf(cause: unknown): string | undefined {
  return (cause as LibcError | null)?.code
}

export function isNoSpace(cause: unknown): boolean {
  return codeOf(cause) === 'ENOSPC' || codeOf(cause) === 'EDQUOT'
}

export function cannotUse(path: string, cause: unknown): CacheError {
  return new CacheError(
    'PREFIXD_E_CACHE_DIRECTORY',
    `The slab file ${path} cannot be used: ${cause}. Make it readable and writable, or choose ` +
      'another --dir.',
    { cause },
  )
}

/** Rejects with `PREFIXD_E_CACHE_DIRECTORY`. */
export async function openSlabFile(path: string): Promise<{ fd: number; directIo: boolean }> {
  const flags = constants.O_RDWR | constants.O_CREAT
  const oDirect = constants.O_DIRECT ?? 0
  try {
    if (oDirect !== 0 && (await takesDirectIo(`${path}.probe`, flags | oDirect))) {
      return { fd: await openFile(path, flags | oDirect, 0o600), directIo: true }
    }
    const fd = await openFile(path, flags, 0o600)
    return { fd, directIo: bypassPageCache(fd) }
  } catch (cause) {
    throw cannotUse(path, cause)
  }
}

/** Some file systems accept O_DIRECT at open and refuse every write, so one page is written. */
async function takesDirectIo(path: string, flags: number): Promise<boolean> {
  let fd: number | null = null
  try {
    fd = await openFile(path, flags, 0o600)
    const page = new Uint8Array(mapPrivate(ioUnitBytes).buffer)
    return (await fileIo.write(fd, page, 0)) === ioUnitBytes
  } catch (cause) {
    if (isNoSpace(cause)) return true
    if (['EINVAL', 'EOPNOTSUPP', 'ENOTSUP'].includes(codeOf(cause) ?? '')) return false
    throw cause
  } finally {
    if (fd !== null) {
      await closeFile(fd)
      unlinkSync(path)
    }
  }
}

export interface GrowthOptions {
  readonly fd: number
  readonly directory: string
  /** The file's length when it was opened, and its longest; multiples of `unitBytes`. */
  readonly sizeBytes: number
  readonly maxBytes: number
  readonly unitBytes: number
  readonly stepBytes: number
  readonly freeDiskFloorBytes: number
  readonly freeDiskBytes?: ((directory: string) => Promise<number>) | undefined
}

export interface Growth {
  /** True while the disk, not the limit, keeps the file from growing. */
  readonly stopped: boolean
  /** Resolves with the bytes added: a step, at least `neededBytes`, or what the disk can spare. */
  grow(neededBytes: number): Promise<number>
}

export function createGrowth(options: GrowthOptions): Growth {
  const { fd, unitBytes, maxBytes } = options
  const freeDiskBytes = options.freeDiskBytes ?? freeBytesOf
  let sizeBytes = options.sizeBytes
  /** Free bytes of the disk when it last refused; asked again only when there are more. */
  let refusedAtFreeBytes: number | null = null

  async function extend(byBytes: number): Promise<void> {
    try {
      await preallocate(fd, sizeBytes, byBytes)
    } catch (cause) {
      if (codeOf(cause) !== 'EOPNOTSUPP') throw cause
      // The blocks are not reserved then: a full disk shows at the write, as ENOSPC.
      ftruncateSync(fd, sizeBytes + byBytes)
    }
  }

  return {
    get stopped() {
      return refusedAtFreeBytes !== null
    },
    async grow(neededBytes) {
      const wanted = Math.min(maxBytes - sizeBytes, Math.max(options.stepBytes, neededBytes))
      if (wanted <= 0) return 0
      const freeNow = await freeDiskBytes(options.directory)
      if (refusedAtFreeBytes !== null && freeNow <= refusedAtFreeBytes) return 0
      const spare = Math.max(0, freeNow - options.freeDiskFloorBytes)
      const byBytes = Math.floor(Math.min(wanted, spare) / unitBytes) * unitBytes
      if (byBytes === 0) {
        refusedAtFreeBytes = freeNow
        return 0
      }
      try {
        await extend(byBytes)
      } catch (cause) {
        if (!isNoSpace(cause)) {
          throw new CacheError('PREFIXD_E_CACHE_IO', `Growing the slab failed: ${cause}`, { cause })
        }
        ftruncateSync(fd, sizeBytes)
        refusedAtFreeBytes = freeNow
        return 0
      }
      refusedAtFreeBytes = null
      sizeBytes += byBytes
      return byBytes
    },
  }
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}
