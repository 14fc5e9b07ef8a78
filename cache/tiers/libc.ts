/**
 * The few calls of the C library that Node does not have: shared memory, preallocation, file locks.
 * Bound once, by koffi. Every failure throws an error with the name of the errno as its `code`.
 * Only macOS and Linux; other systems fail at the first call with `ENOSYS`.
 */
import koffi from 'koffi'

/** Memory that this process has mapped, until its buffer and every view of it are collected. */
export interface Mapping {
  readonly address: bigint
  readonly sizeBytes: number
  readonly buffer: ArrayBuffer
}

export interface LibcError extends Error {
  readonly code: string
}

const isMac = process.platform === 'darwin'

const PROT_READ = 1
const PROT_WRITE = 2
const MAP_SHARED = 1
const MAP_PRIVATE = 2
const MAP_ANONYMOUS = isMac ? 0x1000 : 0x20
const MAP_FAILED = 0xffff_ffff_ffff_ffffn
const MFD_CLOEXEC = 1
const MFD_ALLOW_SEALING = 2
const F_ADD_SEALS = 1033
const F_SEAL_SEAL = 1
const F_SEAL_SHRINK = 2
const F_SEAL_GROW = 4
const F_NOCACHE = 48
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4
/** Linux 5.14 and newer: faults pages in for writing and leaves their bytes as they are. */
const MADV_POPULATE_WRITE = 23
const MADV_COLLAPSE = 25
/** Of private memory, and of a file that is shared: Linux. */
const MADV_DONTNEED = 4
const MADV_REMOVE = 9

interface Call {
  (...args: unknown[]): unknown
  async(...args: unknown[]): void
}

let library: ReturnType<typeof koffi.load> | null = null
const calls = new Map<string, Call>()

function call(declaration: string): Call {
  const bound = calls.get(declaration)
  if (bound !== undefined) return bound
  if (process.platform !== 'linux' && !isMac) throw libcError('ENOSYS', declaration)
  library ??= koffi.load(isMac ? 'libSystem.B.dylib' : 'libc.so.6')
  const fresh = library.func(declaration) as Call
  calls.set(declaration, fresh)
  return fresh
}

function libcError(code: string, syscall: string): LibcError {
  return Object.assign(new Error(`${syscall}: ${code}`), { code })
}

function failure(syscall: string): LibcError {
  const errno = koffi.errno()
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0]
  return libcError(name ?? `errno ${errno}`, syscall)
}

/** Runs on a thread of the libuv pool; resolves with what the call returned, or rejects for -1. */
function offThread(syscall: string, bound: Call, ...args: unknown[]): Promise<void> {
  return new Promise((resolve, reject) => {
    bound.async(...args, (error: Error | null, result: number) => {
      if (error !== null) reject(error)
      else if (result === -1) reject(failure(syscall))
      else resolve()
    })
  })
}

function map(sizeBytes: number, flags: number, fd: number): Mapping {
  const mmap = call('void *mmap(void *, size_t, int, int, int, int64_t)')
  const address = mmap(null, sizeBytes, PROT_READ | PROT_WRITE, flags, fd, 0) as bigint
  if (address === MAP_FAILED) throw failure('mmap')
  const buffer = koffi.view(address, sizeBytes)
  unreachable.register(buffer, { address, sizeBytes })
  return { address, sizeBytes, buffer }
}

/** An access to memory that is not mapped any more kills the process: only the collector knows. */
const unreachable = new FinalizationRegistry<Omit<Mapping, 'buffer'>>((mapping) => {
  call('int munmap(void *, size_t)')(mapping.address, mapping.sizeBytes)
})

/** The file's first `sizeBytes`, shared with everybody who maps it. Aligned to a page. */
export function mapShared(fd: number, sizeBytes: number): Mapping {
  return map(sizeBytes, MAP_SHARED, fd)
}

/** Zeroed memory of this process only. Aligned to a page. */
export function mapPrivate(sizeBytes: number): Mapping {
  return map(sizeBytes, MAP_PRIVATE | MAP_ANONYMOUS, -1)
}

/**
 * Makes the kernel back these bytes with memory, off the event loop, without changing them. Rejects
 * with `EINVAL` where the kernel does not know the advice (before Linux 5.14, macOS).
 */
export function populate(mapping: Mapping, offset: number, sizeBytes: number): Promise<void> {
  if (isMac) return Promise.reject(libcError('EINVAL', 'madvise'))
  const madvise = call('int madvise(void *, size_t, int)')
  const address = mapping.address + BigInt(offset)
  return offThread('madvise', madvise, address, sizeBytes, MADV_POPULATE_WRITE)
}

/**
 * Asks the kernel to put these bytes into huge pages, off the event loop, without changing them.
 * Direct I/O then moves long runs: reads into shared memory went from 1.0 to 2.2 GB/s here. False
 * where the kernel cannot or will not (before Linux 6.1, macOS, fragmented memory).
 */
export async function collapse(
  mapping: Mapping,
  offset: number,
  sizeBytes: number,
): Promise<boolean> {
  if (isMac) return false
  const madvise = call('int madvise(void *, size_t, int)')
  const address = mapping.address + BigInt(offset)
  try {
    await offThread('madvise', madvise, address, sizeBytes, MADV_COLLAPSE)
    return true
  } catch {
    return false
  }
}

/**
 * Gives the memory behind these bytes back to the system, for everybody who maps them, off the
 * event loop; they are zero then. False where the kernel cannot (macOS).
 */
export async function discard(
  mapping: Mapping,
  offset: number,
  sizeBytes: number,
  isShared: boolean,
): Promise<boolean> {
  if (isMac) return false
  const madvise = call('int madvise(void *, size_t, int)')
  const address = mapping.address + BigInt(offset)
  const advice = isShared ? MADV_REMOVE : MADV_DONTNEED
  try {
    await offThread('madvise', madvise, address, sizeBytes, advice)
    return true
  } catch {
    return false
  }
}

/** A file without a name that lives in memory and is not limited by the size of /dev/shm. Linux. */
export function createMemoryFile(name: string): number {
  const memfdCreate = call('int memfd_create(const char *, unsigned int)')
  const fd = memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING) as number
  if (fd === -1) throw failure('memfd_create')
  return fd
}

/** From here on nobody, this process included, can resize the memory file. Linux. */
export function sealSize(fd: number): void {
  const fcntl = call('int fcntl(int, int, ...)')
  if (fcntl(fd, F_ADD_SEALS, 'int', F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) === -1) {
    throw failure('fcntl')
  }
}

/** macOS's nearest thing to O_DIRECT: what this fd moves leaves no copy in the page cache. */
export function bypassPageCache(fd: number): boolean {
  return isMac && call('int fcntl(int, int, ...)')(fd, F_NOCACHE, 'int', 1) !== -1
}

/**
 * Reserves disk blocks for [offset, offset + sizeBytes) and extends the file. Rejects with
 * `ENOSPC`, or `EOPNOTSUPP` where the file system (or macOS) has no such call.
 */
export function preallocate(fd: number, offset: number, sizeBytes: number): Promise<void> {
  if (isMac) return Promise.reject(libcError('EOPNOTSUPP', 'fallocate'))
  const fallocate = call('int fallocate(int, int, int64_t, int64_t)')
  return offThread('fallocate', fallocate, fd, 0, offset, sizeBytes)
}

/**
 * Takes the lock of an open file without waiting; false when somebody else holds it. Many may hold
 * it `shared`, and then nobody `alone`.
 */
export function tryLock(fd: number, how: 'shared' | 'alone' = 'alone'): boolean {
  const operation = how === 'shared' ? LOCK_SH : LOCK_EX
  if (call('int flock(int, int)')(fd, operation | LOCK_NB) !== -1) return true
  const error = failure('flock')
  if (error.code === 'EWOULDBLOCK' || error.code === 'EAGAIN') return false
  throw error
}
