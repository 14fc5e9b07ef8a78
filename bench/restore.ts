/**
 * RAM tier → engine, as the worker itself measures it, beside memcpy: the same bytes between
 * touched buffers that are larger than the CPU's cache, in turn.
 */

import { checksums } from '../engines/checksum.ts'
import type { Engine, ExportedRecord, RestoreRecord } from '../engines/index.ts'
import { type Pair, pairedFigure } from './figures.ts'
import { greedy } from './greedy.ts'
import type { Part } from './part.ts'
import { settingsFor, startBareEngine } from './settings.ts'
import { type Arena, createWarmArena } from './warm-arena.ts'

const mebibyte = 1024 * 1024
/** 25 blocks of the default model are 147 MB. */
const blockCount = 25
/** Computed for real; the others are copies of these at other positions. */
const computedBlocks = 2

export const restore: Part = async ({ choices, scratch, quick, progress }) => {
  const settings = await settingsFor(choices, scratch.directory)
  const arena = await createWarmArena(512 * mebibyte)
  const { fd, sizeBytes } = arena
  const shared = fd === null ? null : { fd, sizeBytes }
  const engine = startBareEngine(settings, { arena: shared, view: arena })
  scratch.own(() => engine.close(0))
  try {
    progress(`restore: ${blockCount} blocks`)
    const computed = choices.engine === 'fake' ? blockCount : computedBlocks
    const blocks = await computeBlocks(engine, arena, computed, settings.config.blockTokens)
    const records = extend(blocks, arena)
    const bytes = records.reduce((sum, record) => sum + record.sizeBytes, 0)
    const copy = createCopy(arena, records)
    const pairs: Pair[] = []
    // The first round faults in the worker's pages.
    for (let round = -1; round < (quick ? 1 : 11); round += 1) {
      const limit = bytes / 1e6 / copy()
      const value = bytes / 1e6 / (await restoreOnce(engine, records))
      if (round >= 0) pairs.push({ value, limit })
    }
    return [
      pairedFigure(
        {
          id: 'restore_over_memcpy',
          what: 'RAM tier → engine',
          unit: 'GB/s',
          limitWhat: 'memcpy',
          promise: { bound: 'at least', value: 0.7 },
        },
        pairs,
      ),
    ]
  } finally {
    await engine.close(0)
    arena.close()
  }
}

async function restoreOnce(engine: Engine, records: readonly RestoreRecord[]): Promise<number> {
  const sequence = await engine.openSequence(new AbortController().signal)
  try {
    const { restoredTokens, restoreMs } = await sequence.restore(records)
    if (restoredTokens !== records.at(-1)?.to) throw new Error(`${restoredTokens} tokens restored`)
    return restoreMs
  } finally {
    await sequence.close()
  }
}

async function computeBlocks(
  engine: Engine,
  arena: Arena,
  count: number,
  blockTokens: number,
): Promise<ExportedRecord[]> {
  await engine.ready()
  const words = 'The agent reads one file and writes what it found. '.repeat(count * blockTokens)
  const text = words.slice(0, count * blockTokens * 12)
  const tokens = await engine.tokenize(text, { addSpecial: false, parseSpecial: false })
  const exported: ExportedRecord[] = []
  const sequence = await engine.openSequence(new AbortController().signal)
  const input = {
    tokens: tokens.slice(0, count * blockTokens),
    computeFrom: 0,
    restoredOnGrid: true,
    maxTokens: 0,
    sampling: greedy,
    save: true,
  }
  const sink = {
    reserve: async ({ sizeBytes }: { readonly sizeBytes: number }) => arena.allocate(sizeBytes),
    commit: (record: ExportedRecord) => void exported.push(record),
    abandon: () => {},
  }
  for await (const _ of sequence.generate(input, sink, new AbortController().signal));
  await sequence.close()
  if (exported.length !== count) throw new Error(`${exported.length} of ${count} blocks exported`)
  return exported
}

/** llama.cpp's record begins with 16 bytes, then 12 bytes for each cell, its position first. */
const headBytes = 16
const cellBytes = 12

/** To compute all blocks would take a minute; what their values are makes no difference here. */
function extend(blocks: readonly ExportedRecord[], arena: Arena): RestoreRecord[] {
  const records = blocks.map(toRestore)
  const pattern = records.at(-1)
  if (pattern === undefined) throw new Error('no block was exported')
  while (records.length < blockCount) {
    const extent = arena.allocate(pattern.sizeBytes)
    if (extent === null) throw new Error('the arena of the bench is too small')
    const bytes = arena.view(extent.offset, extent.sizeBytes)
    bytes.set(arena.view(pattern.offset, pattern.sizeBytes))
    const from = records.at(-1)?.to ?? 0
    const to = from + pattern.to - pattern.from
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let position = from; position < to; position += 1) {
      view.setInt32(headBytes + cellBytes * (position - from), position, true)
    }
    records.push({ ...pattern, ...extent, from, to, keepTo: to, crc32s: checksums(bytes) })
  }
  return records
}

const toRestore = ({ kind, from, to, bytes, crc32s }: ExportedRecord): RestoreRecord => ({
  kind,
  from,
  to,
  keepTo: to,
  crc32s,
  verified: true,
  ...bytes,
})

/** Returns the milliseconds of one copy of all records into a buffer of this process. */
function createCopy(arena: Arena, records: readonly RestoreRecord[]): () => number {
  const target = new Uint8Array(records.reduce((sum, record) => sum + record.sizeBytes, 0)).fill(1)
  return () => {
    const startedAt = performance.now()
    let at = 0
    for (const { offset, sizeBytes } of records) {
      target.set(arena.view(offset, sizeBytes), at)
      at += sizeBytes
    }
    return performance.now() - startedAt
  }
}
