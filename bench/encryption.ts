/**
 * What encryption costs: the SSD tier with a key beside the same tier without one, in turn. Also
 * how long it holds up the event loop, and what it adds to the first compare of a prompt's token
 * ids.
 */
import { randomBytes } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { SsdTier } from '../cache/tiers/tier.ts'
import {
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

/** A turn on time is counted with this. */
const loopResolutionMs = 1
/** Of a prompt of 128,000 tokens. */
const comparedBlocks = 500

interface Measured {
  readonly write: Pair[]
  readonly read: Pair[]
  readonly compare: Pair[]
  /** Of writing and reading. */
  readonly loopP99Ms: Pair[]
}

export const encryption: Part = async ({ scratch, quick, progress }) => {
  const recordCount = quick ? 4 : 100
  const rounds = quick ? 1 : 7
  const arena = await createWarmArena(2 * recordRoomBytes * recordCount)
  const source = Array.from({ length: recordCount }, (_, at) => makeRecord(arena, at))
  const into = source.map(() => takeView(arena))
  const { directory } = scratch
  const clear = await openTierFor(recordCount, `${directory}/clear`)
  const encrypted = await openTierFor(recordCount, `${directory}/encrypted`, randomBytes(32))
  const measured: Measured = { write: [], read: [], compare: [], loopP99Ms: [] }
  try {
    // The first round writes into blocks that were never written, which is slower on both sides.
    for (let round = -1; round < rounds; round += 1) {
      progress(`encryption: round ${round + 1} of ${rounds}`)
      await runRound({ clear, encrypted }, source, into, round < 0 ? null : measured)
    }
    return figuresOf(measured)
  } finally {
    await clear.close()
    await encrypted.close()
    arena.close()
  }
}

interface Sides {
  readonly clear: SsdTier
  readonly encrypted: SsdTier
}

/** The pairs of moves are speeds in GB/s. */
async function runRound(
  { clear, encrypted }: Sides,
  source: readonly Written[],
  into: readonly Uint8Array[],
  measured: Measured | null,
): Promise<void> {
  const bytes = source.length * paddedBytes
  const gbPerSecond = async (work: Promise<unknown>): Promise<number> => {
    const startedAt = performance.now()
    await work
    return bytes / 1e6 / (performance.now() - startedAt)
  }
  const loops = { limit: watchLoop(), value: watchLoop() }
  const write = {
    limit: await loops.limit.during(() => gbPerSecond(writeAll(clear, source))),
    value: await loops.value.during(() => gbPerSecond(writeAll(encrypted, source))),
  }
  const read = {
    limit: await loops.limit.during(() => gbPerSecond(readAll(clear, source, into))),
    value: await loops.value.during(() => gbPerSecond(readAll(encrypted, source, into))),
  }
  for (const [at, { record, bytes: stored }] of source.entries()) {
    const own = (view: Uint8Array) => view.subarray(0, record.sizeBytes)
    if (Buffer.compare(own(stored), own(into[at] as Uint8Array)) !== 0) {
      throw new Error('other bytes came back')
    }
  }
  const compare = { limit: compareMs(clear, source), value: compareMs(encrypted, source) }
  await clear.remove(source.map(({ record }) => record))
  await encrypted.remove(source.map(({ record }) => record))
  if (measured === null) return
  measured.write.push(write)
  measured.read.push(read)
  measured.compare.push(compare)
  measured.loopP99Ms.push({ limit: loops.limit.p99Ms(), value: loops.value.p99Ms() })
}

function watchLoop() {
  const delays = monitorEventLoopDelay({ resolution: loopResolutionMs })
  return {
    async during<T>(work: () => Promise<T>): Promise<T> {
      delays.enable()
      try {
        return await work()
      } finally {
        delays.disable()
      }
    },
    p99Ms: () => delays.percentile(99) / 1e6,
  }
}

function compareMs(tier: SsdTier, source: readonly Written[]): number {
  const startedAt = performance.now()
  for (let block = 0; block < comparedBlocks; block += 1) {
    const { record } = source[block % source.length] as Written
    if (tier.tokens(record.hash) === null) throw new Error('token ids are missing')
  }
  return performance.now() - startedAt
}

function figuresOf({ write, read, compare, loopP99Ms }: Measured): Figure[] {
  const limitWhat = 'the same without a key'
  const speed = (id: string, what: string, pairs: readonly Pair[]): Figure =>
    pairedFigure({ id, what, unit: 'GB/s', limitWhat, promise: null }, pairs)
  return [
    speed('encrypted_write_over_clear', 'SSD tier, write, encrypted', write),
    speed('encrypted_read_over_clear', 'SSD tier, read, encrypted', read),
    pairedFigure(
      {
        id: 'encrypted_tokens_over_clear',
        what: `token ids of ${comparedBlocks} blocks, encrypted`,
        unit: 'ms',
        limitWhat,
        promise: null,
      },
      compare,
    ),
    pairedFigure(
      {
        id: 'encrypted_loop_over_clear',
        what: 'event loop, a turn, encrypted, p99',
        unit: 'ms',
        limitWhat,
        promise: null,
      },
      loopP99Ms,
    ),
  ]
}
