/**
 * The SSD tier beside the raw disk: records of the same sizes, 4 in flight, in turn. The raw side
 * is the slab's own way without the tier: one preallocated file, O_DIRECT where there is one.
 */
import { randomFillSync } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { createInFlight } from '../cache/tiers/in-flight.ts'
import { preallocate } from '../cache/tiers/libc.ts'
import { fileIo } from '../cache/tiers/slab-file.ts'
import { openSsdTier } from '../cache/tiers/ssd.ts'
import type { RecordKey, SsdTier, StoredRecord } from '../cache/tiers/tier.ts'
import type { BlockHash, Namespace } from '../cache/types.ts'
import { limits } from '../src/config/limits.ts'
import { type Pair, pairedFigure } from './figures.ts'
import type { Figure, Part } from './part.ts'
import { type Arena, createWarmArena } from './warm-arena.ts'

const mebibyte = 1024 * 1024
/** A block of 256 tokens of the default model. */
const recordBytes = 256 * 23_052 + 744
const paddedBytes = Math.ceil(recordBytes / 4096) * 4096

/** The tier itself has 4 pieces in flight; as in the service, more records wait at its door. */
const rawInFlight = 4
const tierInFlight = 2 * limits.ssdWritesInFlight

interface Written {
  readonly record: StoredRecord
  readonly bytes: Uint8Array
}

export const disk: Part = async ({ scratch, quick, progress }) => {
  const recordCount = quick ? 4 : 160
  const rounds = quick ? 1 : 5
  const arena = await createWarmArena(2 * 6 * mebibyte * recordCount)
  const source = Array.from({ length: recordCount }, (_, at) => makeRecord(arena, at))
  const into = source.map(() => takeView(arena))
  const tier = await openSsdTier({
    directory: `${scratch.directory}/disk`,
    capacityBytes: recordCount * 6 * mebibyte,
    stepBytes: recordCount * 6 * mebibyte,
    freeDiskFloorBytes: limits.freeDiskFloorBytes,
    readsInFlight: limits.ssdReadsInFlight,
    writesInFlight: limits.ssdWritesInFlight,
  })
  const raw = await openRaw(`${scratch.directory}/raw`, recordCount * paddedBytes)
  const writes: Pair[] = []
  const reads: Pair[] = []
  try {
    // The first round writes into blocks that were never written, which is slower on both sides.
    for (let round = -1; round < rounds; round += 1) {
      progress(`disk: round ${round + 1} of ${rounds}`)
      const measured = await runRound(tier, raw, source, into)
      if (round < 0) continue
      writes.push(measured.write)
      reads.push(measured.read)
    }
    return diskFigures(writes, reads)
  } finally {
    await tier.close()
    await raw.close()
    arena.close()
  }
}

/** Pairs are speeds in GB/s. */
async function runRound(
  tier: SsdTier,
  raw: RawFile,
  source: readonly Written[],
  into: readonly Uint8Array[],
): Promise<{ write: Pair; read: Pair }> {
  const bytes = source.length * paddedBytes
  const gbPerSecond = async (work: Promise<unknown>): Promise<number> => {
    const startedAt = performance.now()
    await work
    return bytes / 1e6 / (performance.now() - startedAt)
  }
  const keyOf = ({ record }: Written): RecordKey => record
  const write = {
    limit: await gbPerSecond(each(rawInFlight, source, ({ bytes }, at) => raw.write(at, bytes))),
    value: await gbPerSecond(
      each(tierInFlight, source, ({ record, bytes }) =>
        tier.write(record, tokensOf(record), bytes),
      ),
    ),
  }
  const read = {
    limit: await gbPerSecond(each(rawInFlight, into, (view, at) => raw.read(at, view))),
    value: await gbPerSecond(
      each(tierInFlight, source, (written, at) =>
        tier.read(keyOf(written), into[at] as Uint8Array),
      ),
    ),
  }
  await tier.remove(source.map(keyOf))
  return { write, read }
}

function diskFigures(writes: readonly Pair[], reads: readonly Pair[]): Figure[] {
  const limitWhat = 'raw file, same sizes, 4 in flight'
  const unit = 'GB/s'
  return [
    pairedFigure(
      {
        id: 'ssd_write_over_disk',
        what: 'SSD tier, write',
        unit,
        limitWhat,
        promise: { bound: 'at least', value: 0.8 },
      },
      writes,
    ),
    pairedFigure(
      {
        id: 'ssd_read_over_disk',
        what: 'SSD tier, read and crc',
        unit,
        limitWhat,
        promise: { bound: 'at least', value: 0.7 },
      },
      reads,
    ),
  ]
}

async function each<T>(
  recordsInFlight: number,
  items: readonly T[],
  work: (item: T, at: number) => Promise<void>,
): Promise<void> {
  const inFlight = createInFlight(recordsInFlight)
  await Promise.all(items.map((item, at) => inFlight.run(() => work(item, at))))
}

function takeView(arena: Arena): Uint8Array {
  const extent = arena.allocate(recordBytes)
  if (extent === null) throw new Error('the arena of the bench is too small')
  return arena.view(extent.offset, paddedBytes)
}

function makeRecord(arena: Arena, at: number): Written {
  const bytes = takeView(arena)
  randomFillSync(bytes)
  const crc32s: number[] = []
  for (let from = 0; from < recordBytes; from += mebibyte) {
    crc32s.push(crc32(bytes.subarray(from, Math.min(from + mebibyte, recordBytes))))
  }
  const hash = (at + 1).toString(16).padStart(16, '0') as BlockHash
  const record: StoredRecord = {
    hash,
    kind: 'kv',
    namespace: 'b'.repeat(64) as Namespace,
    parent: hash,
    blockIndex: at,
    tokenCount: 256,
    grid: true,
    sizeBytes: recordBytes,
    crc32s,
    createdAtMs: 0,
    lastUsedAtMs: 0,
  }
  return { record, bytes }
}

const tokensOf = (record: StoredRecord): Uint32Array => new Uint32Array(record.tokenCount)

interface RawFile {
  write(at: number, bytes: Uint8Array): Promise<void>
  read(at: number, into: Uint8Array): Promise<void>
  close(): Promise<void>
}

async function openRaw(path: string, sizeBytes: number): Promise<RawFile> {
  const { fd } = await fileIo.open(path)
  await preallocate(fd, 0, sizeBytes)
  const whole = (count: number): void => {
    if (count !== paddedBytes) throw new Error(`the disk moved ${count} of ${paddedBytes} bytes`)
  }
  return {
    write: async (at, bytes) => whole(await fileIo.write(fd, bytes, at * paddedBytes)),
    read: async (at, into) => whole(await fileIo.read(fd, into, at * paddedBytes)),
    close: () => fileIo.close(fd),
  }
}
