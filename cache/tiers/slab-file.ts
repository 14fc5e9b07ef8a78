/** The slab as a file: opened past the page cache where that works, and grown in reserved steps. */
import {
  close,
  constants,
  fstatSync,
  ftruncate,
  ftruncateSync,
  open,
  read,
  unlinkSync,
  write,
} from 'node:fs'
import { statfs } from 'node:fs/promises'
import { promisify } from 'node:util'
import { CacheError } from '../errors.ts'
import type { DiskRoom } from './disk-room.ts'
import { bypassPageCache, type LibcError, mapPrivate, preallocate } from './libc.ts'

/** Positions, lengths and memory of every read and write are multiples of this. */
export const ioUnitBytes = 4096

/** What the slab asks of the system; tests and the simulation replace it to make faults. */
export interface SlabIo {
  /** Opens the slab, or makes an empty one. Rejects with `PREFIXD_E_CACHE_DIRECTORY`. */
  open(path: string): Promise<{ readonly fd: number; readonly directIo: boolean }>
  sizeOf(fd: number): number
  truncate(fd: number, sizeBytes: number): void
  /** As `truncate`, off the event loop: a long end took 0.4 s on a busy disk. */
  shorten(fd: number, sizeBytes: number): Promise<void>
  /** Adds `byBytes` of reserved room at the end. Rejects with the system's own error. */
  extend(fd: number, sizeBytes: number, byBytes: number): Promise<void>
  /** Of the file system that holds the directory. */
  freeBytes(directory: string): Promise<number>
  /** These two resolve with a count, which may be less than was asked for. */
  read(fd: number, into: Uint8Array, position: number): Promise<number>
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>
  close(fd: number): Promise<void>
}

const closeFile = promisify(close)
const openFile = promisify(open)

export const fileIo: SlabIo = {
  open: openSlabFile,
  sizeOf: (fd) => fstatSync(fd).size,
  truncate: ftruncateSync,
  shorten: promisify(ftruncate),
  async extend(fd, sizeBytes, byBytes) {
    try {
      await preallocate(fd, sizeBytes, byBytes)
    } catch (cause) {
      if (codeOf(cause) !== 'EOPNOTSUPP') throw cause
      // The blocks are not reserved then: a full disk shows at the write, as ENOSPC.
      ftruncateSync(fd, sizeBytes + byBytes)
    }
  },
  async freeBytes(directory) {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  },
  close: closeFile,
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

async function openSlabFile(path: string): Promise<{ fd: number; directIo: boolean }> {
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
  readonly io: Pick<SlabIo, 'extend' | 'truncate' | 'shorten'>
  readonly fd: number
  readonly room: DiskRoom
  /** The file's length when it was opened, and its longest; multiples of `unitBytes`. */
  readonly sizeBytes: number
  readonly maxBytes: number
  readonly unitBytes: number
  readonly stepBytes: number
}

export interface Growth {
  /** How long the file is. */
  readonly sizeBytes: number
  /** Resolves with the bytes added: a step, at least `neededBytes`, or what the disk can spare. */
  grow(neededBytes: number): Promise<number>
  /** A file that is longer by now stays so until it is cut. */
  limit(maxBytes: number): void
  /** Gives the end of the file back to the disk; not while it grows. False: the disk refused. */
  cut(sizeBytes: number): Promise<boolean>
}

export function createGrowth(options: GrowthOptions): Growth {
  const { io, fd, room, unitBytes } = options
  let { sizeBytes, maxBytes } = options

  return {
    get sizeBytes() {
      return sizeBytes
    },
    limit(bytes) {
      maxBytes = bytes
    },
    async cut(bytes) {
      try {
        await io.shorten(fd, bytes)
        sizeBytes = bytes
        return true
      } catch {
        // It is as long as before, which `sizeBytes` says; the next release tries again.
        return false
      }
    },
    async grow(neededBytes) {
      const wanted = Math.min(maxBytes - sizeBytes, Math.max(options.stepBytes, neededBytes))
      if (wanted <= 0) return 0
      const spare = await room.spareBytes()
      const byBytes = Math.floor(Math.min(wanted, spare) / unitBytes) * unitBytes
      if (byBytes === 0) {
        room.refuseGrowth()
        return 0
      }
      try {
        await io.extend(fd, sizeBytes, byBytes)
      } catch (cause) {
        if (!isNoSpace(cause)) {
          throw new CacheError('PREFIXD_E_CACHE_IO', `Growing the slab failed: ${cause}`, { cause })
        }
        io.truncate(fd, sizeBytes)
        room.refuseGrowth()
        return 0
      }
      room.allowGrowth()
      sizeBytes += byBytes
      return byBytes
    },
  }
}
