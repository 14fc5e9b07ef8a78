/**
 * The SSD tier beside the raw disk: records of the same sizes, 4 in flight, in turn. The raw side
 * is the slab's own way without the tier: one preallocated file, O_DIRECT where there is one.
 */
import { preallocate } from '../cache/tiers/libc.ts'
import { fileIo } from '../cache/tiers/slab-file.ts'
import type { SsdTier } from '../cache/tiers/tier.ts'
import {
  each,
  makeRecord,
  openTierFor,
  paddedBytes,
  readAll,
  recordRoomBytes,
  takeView,
  type Written,
  writeAll,
} from './disk-records.ts'
import { type Pair, pairedFigure } from './figures.ts'
import type { Figure, Part } from './part.ts'
import { createWarmArena } from './warm-arena.ts'

/** As many pieces as the tier itself has in flight. */
const rawInFlight = 4

export const disk: Part = async ({ scratch, quick, progress }) => {
  const recordCount = quick ? 4 : 160
  const rounds = quick ? 1 : 5
  const arena = await createWarmArena(2 * recordRoomBytes * recordCount)
  const source = Array.from({ length: recordCount }, (_, at) => makeRecord(arena, at))
  const into = source.map(() => takeView(arena))
  const tier = await openTierFor(recordCount, `${scratch.directory}/disk`)
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
  const write = {
    limit: await gbPerSecond(each(rawInFlight, source, ({ bytes }, at) => raw.write(at, bytes))),
    value: await gbPerSecond(writeAll(tier, source)),
  }
  const read = {
    limit: await gbPerSecond(each(rawInFlight, into, (view, at) => raw.read(at, view))),
    value: await gbPerSecond(readAll(tier, source, into)),
  }
  await tier.remove(source.map(({ record }) => record))
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
