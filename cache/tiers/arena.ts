/**
 * The RAM tier's memory: one piece for the whole life of the process.
 *
 * Shared memory is a file without a name: a worker inherits its descriptor and maps the same bytes,
 * and nothing is left behind when everybody is dead.
 */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CacheError } from '../errors.ts'
import { createExtents } from './extents.ts'
import {
  collapse,
  createMemoryFile,
  discard,
  type LibcError,
  type Mapping,
  mapPrivate,
  mapShared,
  populate,
  sealSize,
} from './libc.ts'
import type { Arena } from './tier.ts'

export interface ArenaOptions {
  /** Rounded down to the granule. */
  readonly sizeBytes: number
  /** Shared memory with a descriptor for the workers, or private memory and `fd` null. */
  readonly shared: boolean
}

/** Multiple of every page size that we meet (4 and 16 KiB), small beside any record. */
const granuleBytes = 64 * 1024
const warmSliceBytes = 16 * 1024 * 1024
/** About 10 ms of a thread of the pool. */
const givenSliceBytes = 64 * 1024 * 1024
/** Without the kernel's help a slice is touched on the event loop: about 1 ms on a slow machine. */
const touchSliceBytes = 1024 * 1024
const smallestPageBytes = 4096

/**
 * Throws `PREFIXD_E_CACHE_ARENA`. Costs microseconds: the kernel gives the pages on first touch.
 */
export function createArena(options: ArenaOptions): Arena {
  const sizeBytes = Math.floor(options.sizeBytes / granuleBytes) * granuleBytes
  checkSize(options.sizeBytes, sizeBytes)
  const extents = createExtents(sizeBytes / granuleBytes)
  const memory = takeMemory(sizeBytes, options.shared)
  let mapping: Mapping | null = memory.mapping
  let fd = memory.fd
  let capacityBytes = sizeBytes

  function openMapping(): Mapping {
    if (mapping === null) throw new RangeError('the arena is closed')
    return mapping
  }

  function granules(bytes: number): number {
    return Math.ceil(bytes / granuleBytes)
  }

  function run(extent: { offset: number; generation: number }) {
    return { start: extent.offset / granuleBytes, generation: extent.generation }
  }

  async function giveBack(signal: AbortSignal): Promise<boolean> {
    for (const [start, end] of extents.gapsBehindEnd()) {
      for (let from = start * granuleBytes; from < end * granuleBytes; from += givenSliceBytes) {
        if (signal.aborted || mapping === null) return false
        const givenBytes = Math.min(givenSliceBytes, end * granuleBytes - from)
        if (!(await discard(mapping, from, givenBytes, options.shared))) return false
      }
    }
    return true
  }

  return {
    sizeBytes,
    granuleBytes,
    get capacityBytes() {
      return capacityBytes
    },
    get usedBytes() {
      return extents.used * granuleBytes
    },
    get behindBytes() {
      return extents.behindEnd * granuleBytes
    },
    resize(bytes) {
      extents.endAt(Math.floor(bytes / granuleBytes))
      capacityBytes = Math.floor(bytes / granuleBytes) * granuleBytes
    },
    isBehind: (extent) => extent.sizeBytes > 0 && extents.isBehindEnd(run(extent)),
    giveBack,
    get fd() {
      return fd
    },
    get largestFreeBytes() {
      return extents.largestFree * granuleBytes
    },
    allocatedBytes: (bytes) => granules(bytes) * granuleBytes,
    allocate(bytes) {
      openMapping()
      if (!Number.isSafeInteger(bytes) || bytes < 0) {
        throw new RangeError(`sizeBytes is ${bytes}; an extent has 0 bytes or more`)
      }
      // Behind the end, where nothing lies that it could be taken for.
      if (bytes === 0) return { offset: sizeBytes, sizeBytes: 0, generation: extents.name() }
      const found = extents.allocate(granules(bytes))
      if (found === null) return null
      const { start, generation } = found
      return { offset: start * granuleBytes, sizeBytes: bytes, generation }
    },
    free: (extent) => {
      if (extent.sizeBytes > 0) extents.free(run(extent))
    },
    isCurrent: (extent) => extents.isCurrent(run(extent)),
    view: (offset, bytes) => new Uint8Array(openMapping().buffer, offset, bytes),
    warmUp: (signal, fromBytes = 0) =>
      warmUp(openMapping(), fromBytes, (offset) => {
        return signal?.aborted === true || mapping === null || offset >= capacityBytes
      }),
    close() {
      mapping = null
      if (fd !== null) closeSync(fd)
      fd = null
    },
  }
}

function checkSize(asked: number, sizeBytes: number): void {
  const memoryBytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  if (Number.isSafeInteger(sizeBytes) && sizeBytes >= granuleBytes && sizeBytes <= memoryBytes) {
    return
  }
  throw new CacheError(
    'PREFIXD_E_CACHE_ARENA',
    `The RAM tier cannot have ${asked} bytes: it needs at least ${granuleBytes}, and this ` +
      `machine has ${memoryBytes} bytes of memory. Start with a --ram between these two.`,
  )
}

function takeMemory(sizeBytes: number, shared: boolean): { mapping: Mapping; fd: number | null } {
  let fd: number | null = null
  try {
    if (shared) fd = openUnnamedFile(sizeBytes)
    const mapping = fd === null ? mapPrivate(sizeBytes) : mapShared(fd, sizeBytes)
    return { mapping, fd }
  } catch (cause) {
    if (fd !== null) closeSync(fd)
    throw noMemory(sizeBytes, cause)
  }
}

function noMemory(sizeBytes: number, cause: unknown): CacheError {
  const why = (cause as LibcError).message
  return new CacheError(
    'PREFIXD_E_CACHE_ARENA',
    `The system did not give ${sizeBytes} bytes of memory for the RAM tier (${why}). ` +
      'Start with a smaller --ram, or free memory first.',
    { cause },
  )
}

function openUnnamedFile(sizeBytes: number): number {
  if (process.platform === 'linux') {
    const fd = createMemoryFile('prefixd-arena')
    ftruncateSync(fd, sizeBytes)
    // A worker that shrank the file would kill the service at its next access.
    sealSize(fd)
    return fd
  }
  // macOS has no memfd, and its named shared memory cannot be inherited by descriptor everywhere.
  const directory = mkdtempSync(join(tmpdir(), 'prefixd-arena-'))
  try {
    const fd = openSync(join(directory, 'arena'), 'wx+', 0o600)
    ftruncateSync(fd, sizeBytes)
    return fd
  } finally {
    rmSync(directory, { recursive: true })
  }
}

type IsStopped = (offset: number) => boolean

async function* warmUp(
  mapping: Mapping,
  fromBytes: number,
  stopped: IsStopped,
): AsyncGenerator<number> {
  for (let offset = fromBytes; !stopped(offset); offset += warmSliceBytes) {
    const end = Math.min(offset + warmSliceBytes, mapping.sizeBytes)
    try {
      await populate(mapping, offset, end - offset)
    } catch (cause) {
      if ((cause as LibcError).code !== 'EINVAL') throw noMemory(mapping.sizeBytes, cause)
      await touch(mapping, offset, end, stopped)
    }
    // Huge pages where they can be had: the disk and the engine then move long runs.
    await collapse(mapping, offset, end - offset)
    yield end
  }
}

/** An atomic "or 0" dirties the page and cannot undo what another thread or process writes. */
async function touch(mapping: Mapping, from: number, to: number, stopped: IsStopped) {
  const bytes = new Uint8Array(mapping.buffer)
  for (let offset = from; offset < to && !stopped(offset); offset += touchSliceBytes) {
    const end = Math.min(offset + touchSliceBytes, to)
    for (let page = offset; page < end; page += smallestPageBytes) Atomics.or(bytes, page, 0)
    await nextTurn()
  }
}
