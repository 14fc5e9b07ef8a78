/**
 * Brings the planned records of one request into the arena, a window of bytes at a time.
 *
 * Windows bound what one request pins, so that a prefix larger than the RAM tier can be restored.
 */
import { type CachedBlock, type CachedRecord, recordOf } from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import type { SsdStore } from './ssd-store.ts'
import type { Crc32s, Extent, PlannedRecord } from './types.ts'

export interface LoadingHost {
  readonly ram: RamStore
  readonly ssd: SsdStore | null
  readonly blockTokens: number
  readonly restoreWindowBytes: number
  readonly reserveWaitMs: number
  onLoadFailed(record: CachedRecord, error: unknown): void
  /** The RAM tier served a record to a request. */
  onRead(record: CachedRecord): void
}

/** A record in the arena, ready for the engine. `bytes` stays as it is until the next window. */
export interface LoadedRecord {
  readonly planned: PlannedRecord
  /** One past the last token that the record holds; `planned.to` may be less. */
  readonly storedTo: number
  readonly bytes: Extent
  readonly crc32s: Crc32s
}

interface Wanted {
  readonly planned: PlannedRecord
  readonly block: CachedBlock
}

interface Pinned {
  readonly record: CachedRecord
  readonly loaded: LoadedRecord
}

interface LoadedWindow {
  readonly pinned: readonly Pinned[]
  /** A record could not be read: the chain ends here. */
  readonly isCut: boolean
}

/**
 * Yields the records in order; while the caller restores one window the next is read from the SSD.
 * Ends early at the first record that cannot be read: the chain is cut there. What is exact at a
 * boundary comes last and is brought in first: without it nothing before it needs to be imported.
 */
export async function* loadWindows(
  host: LoadingHost,
  records: readonly PlannedRecord[],
  blockOf: (planned: PlannedRecord) => CachedBlock,
): AsyncGenerator<LoadedRecord[]> {
  const wanted = records.map((planned) => ({ planned, block: blockOf(planned) }))
  const exact = await loadWindow(
    host,
    wanted.filter(({ planned }) => planned.kind !== 'kv'),
  )
  try {
    if (exact.isCut) return
    const rows = cutWindows(
      host,
      wanted.filter(({ planned }) => planned.kind === 'kv'),
    )
    yield* loadRows(host, rows, exact)
  } finally {
    unpin(host, exact)
  }
}

/** The last window ends with `exact`; a chain that is cut never gets there. */
async function* loadRows(
  host: LoadingHost,
  pending: Wanted[][],
  exact: LoadedWindow,
): AsyncGenerator<LoadedRecord[]> {
  let next = loadWindow(host, pending.shift() ?? [])
  try {
    for (;;) {
      const window = await next
      const isLast = pending.length === 0 && !window.isCut
      next = loadWindow(host, window.isCut ? [] : (pending.shift() ?? []))
      try {
        const loaded = [...window.pinned, ...(isLast ? exact.pinned : [])]
        if (loaded.length > 0) yield loaded.map((item) => item.loaded)
      } finally {
        unpin(host, window)
      }
      if (isLast || window.isCut) return
    }
  } finally {
    unpin(host, await next)
  }
}

function unpin(host: LoadingHost, window: LoadedWindow): void {
  for (const { record } of window.pinned) host.ram.unpin(record)
}

/**
 * Two windows are pinned at once, so one takes at most a quarter of the arena: as the arena counts
 * it, which takes more for a small record than this has bytes.
 */
function cutWindows(host: LoadingHost, wanted: readonly Wanted[]): Wanted[][] {
  const { ram } = host
  const [first] = wanted
  const mostBytes = first === undefined ? 0 : ram.mostBytes(first.block.namespace)
  const windowBytes = Math.min(host.restoreWindowBytes, mostBytes / 4)
  const windows: Wanted[][] = []
  let sizeBytes = Number.POSITIVE_INFINITY
  for (const item of wanted) {
    const takenBytes = ram.arena.allocatedBytes(item.planned.sizeBytes)
    if (sizeBytes + takenBytes > windowBytes) {
      windows.push([])
      sizeBytes = 0
    }
    windows.at(-1)?.push(item)
    sizeBytes += takenBytes
  }
  return windows
}

async function loadWindow(host: LoadingHost, window: readonly Wanted[]): Promise<LoadedWindow> {
  const results = await Promise.allSettled(window.map((wanted) => bringIn(host, wanted)))
  const pinned: Pinned[] = []
  let isCut = false
  for (const result of results) {
    if (result.status === 'rejected') isCut = true
    else if (isCut) host.ram.unpin(result.value.record)
    else pinned.push(result.value)
  }
  return { pinned, isCut }
}

async function bringIn(host: LoadingHost, { planned, block }: Wanted): Promise<Pinned> {
  const record = recordOf(block, planned.kind)
  if (record === undefined) throw new Error('the record left the cache')
  host.ram.pin(record)
  if (record.extent !== null) host.onRead(record)
  try {
    const bytes = await bytesOf(host, record, () =>
      host.ram.allocateWithin(record, block.namespace, host.reserveWaitMs),
    )
    const storedTo = block.index * host.blockTokens + block.tokenCount
    return { record, loaded: { planned, storedTo, bytes, crc32s: record.crc32s } }
  } catch (error) {
    host.ram.unpin(record)
    throw error
  }
}

/** Brings a record into RAM and pins it there; the caller unpins it. */
export async function bringInPinned(host: LoadingHost, record: CachedRecord): Promise<Extent> {
  host.ram.pin(record)
  try {
    const { namespace } = record.block
    const takeRoom = () => host.ram.allocateWithin(record, namespace, host.reserveWaitMs)
    return await bytesOf(host, record, takeRoom)
  } catch (error) {
    host.ram.unpin(record)
    throw error
  }
}

/**
 * Reads a record into RAM, pinned meanwhile, and leaves it there for whoever comes. False when it
 * could not be read or nothing gave it room; what was wrong with it has been reported then.
 */
export async function readAhead(
  host: LoadingHost,
  record: CachedRecord,
  takeRoom: () => Extent | null,
): Promise<boolean> {
  host.ram.pin(record)
  try {
    await bytesOf(host, record, async () => takeRoom())
    return true
  } catch {
    return false
  } finally {
    host.ram.unpin(record)
  }
}

type TakeRoom = () => Promise<Extent | null>

/** One read serves all who want the record at the same time. */
async function bytesOf(
  host: LoadingHost,
  record: CachedRecord,
  takeRoom: TakeRoom,
): Promise<Extent> {
  while (record.extent === null) {
    record.loading ??= readFromSsd(host, record, takeRoom).finally(() => {
      record.loading = null
    })
    await record.loading
  }
  return record.extent
}

async function readFromSsd(
  host: LoadingHost,
  record: CachedRecord,
  takeRoom: TakeRoom,
): Promise<void> {
  const { ram, ssd } = host
  if (ssd === null || record.ssd !== 'stored') throw new Error('the record left the cache')
  const extent = await takeRoom()
  if (extent === null) throw new Error('no room in the RAM tier to restore through')
  try {
    await ssd.read(record, extent)
  } catch (error) {
    ram.release(extent, record.block.namespace)
    host.onLoadFailed(record, error)
    throw error
  }
  ram.hold(record, extent)
}
