/**
 * Maps the service's arena into this process. It is the data plane: records are read and written
 * in place.
 */
import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { EngineError } from './errors.ts'

export interface MappedArena {
  readonly sizeBytes: number
  /** A view, not a copy. Throws PREFIXD_E_ENGINE_PROTOCOL outside of the arena. */
  view(offset: number, sizeBytes: number): Uint8Array
}

const protReadWrite = 1 | 2
const mapShared = 1
/** Linux 5.14: fills the page tables for writing, as touching every page would. */
const madvPopulateWrite = 23
const populateBytes = 64 * 1024 * 1024

/**
 * Maps `sizeBytes` of `fd` read-write and closes the descriptor. Page tables are filled in the
 * background, 64 MiB at a time on a pool thread; until then a first touch of a page costs a fault.
 * Throws PREFIXD_E_ENGINE_LIBRARY where memory cannot be mapped.
 */
export function mapArena(fd: number, sizeBytes: number): MappedArena {
  const libc = openLibc()
  const mmap = libc.func('void *mmap(void *, size_t, int, int, int, int64_t)')
  const address: unknown = mmap(null, sizeBytes, protReadWrite, mapShared, fd, 0)
  // MAP_FAILED is (void *) -1.
  if (address === null || koffi.address(address) === 0xffff_ffff_ffff_ffffn) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_LIBRARY',
      `The worker cannot map the arena of ${sizeBytes} bytes (errno ${koffi.errno()}). ` +
        'Give the container more shared memory, or a smaller --ram.',
    )
  }
  closeSync(fd)
  const whole = new Uint8Array(koffi.view(address, sizeBytes))
  if (process.platform === 'linux') populate(libc, koffi.address(address), sizeBytes)
  return {
    sizeBytes,
    view(offset, viewBytes) {
      if (offset < 0 || viewBytes < 0 || offset + viewBytes > sizeBytes) {
        throw new EngineError(
          'PREFIXD_E_ENGINE_PROTOCOL',
          `${viewBytes} bytes at ${offset} are outside of the arena of ${sizeBytes} bytes.`,
        )
      }
      return whole.subarray(offset, offset + viewBytes)
    },
  }
}

function openLibc(): ReturnType<typeof koffi.load> {
  const names: Partial<Record<NodeJS.Platform, string[]>> = {
    linux: ['libc.so.6', 'libc.so'],
    darwin: ['/usr/lib/libSystem.B.dylib'],
  }
  for (const name of names[process.platform] ?? []) {
    try {
      return koffi.load(name)
    } catch {
      // The next name; musl has no libc.so.6.
    }
  }
  throw new EngineError(
    'PREFIXD_E_ENGINE_LIBRARY',
    `Shared memory is not supported on ${process.platform}; the frames must carry the records.`,
  )
}

// A kernel that does not know the advice answers EINVAL; that costs page faults, nothing else.
function populate(libc: ReturnType<typeof koffi.load>, start: bigint, sizeBytes: number): void {
  const madvise = libc.func('int madvise(size_t, size_t, int)')
  const next = (offset: number): void => {
    if (offset >= sizeBytes) return
    const bytes = Math.min(populateBytes, sizeBytes - offset)
    madvise.async(
      start + BigInt(offset),
      bytes,
      madvPopulateWrite,
      (error: unknown, result: number) => {
        if (error === null && result === 0) next(offset + bytes)
      },
    )
  }
  next(0)
}
