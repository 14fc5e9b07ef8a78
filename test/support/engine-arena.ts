/** Memory and a sink for engine tests: what the cache is to an engine, without a cache. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mapArena } from '../../engines/arena-map.ts'
import type {
  ArenaView,
  ExportedRecord,
  ExportRequest,
  RecordBytes,
  RecordSink,
  RestoreRecord,
  SharedArena,
} from '../../engines/types.ts'

export interface EngineArena {
  /** Null in payload mode. */
  readonly shared: SharedArena | null
  readonly view: ArenaView
  allocate(sizeBytes: number): RecordBytes
  close(): void
}

const alignBytes = 4096

/** Memory that is handed out once and never freed. */
export function createEngineArena(sizeBytes: number, mode: 'shared' | 'carried'): EngineArena {
  const memory = mode === 'shared' ? mapTemporaryFile(sizeBytes) : plainMemory(sizeBytes)
  let next = 0
  return {
    ...memory,
    allocate(recordBytes) {
      const offset = next
      next += Math.ceil(recordBytes / alignBytes) * alignBytes
      if (next > sizeBytes) throw new Error(`the test's arena of ${sizeBytes} bytes is full`)
      return { offset, sizeBytes: recordBytes, generation: offset / alignBytes + 1 }
    },
  }
}

function plainMemory(sizeBytes: number) {
  const bytes = new Uint8Array(sizeBytes)
  return {
    shared: null,
    view: { view: (offset: number, length: number) => bytes.subarray(offset, offset + length) },
    close() {},
  }
}

function mapTemporaryFile(sizeBytes: number) {
  const folder = mkdtempSync(join(tmpdir(), 'prefixd-arena-'))
  const file = join(folder, 'arena')
  const fd = openSync(file, 'w+')
  ftruncateSync(fd, sizeBytes)
  // The mapping closes its own descriptor; the worker gets the other one.
  const view = mapArena(openSync(file, 'r+'), sizeBytes)
  rmSync(folder, { recursive: true })
  return { shared: { fd, sizeBytes }, view, close: () => closeSync(fd) }
}

export interface CollectingSink extends RecordSink {
  readonly committed: ExportedRecord[]
  readonly requests: ExportRequest[]
  /** Reserved, and neither committed nor abandoned. */
  readonly open: Set<RecordBytes>
  readonly abandoned: RecordBytes[]
}

/** Keeps every record that it is given; `accept` may refuse some. */
export function createCollectingSink(
  arena: Pick<EngineArena, 'allocate'>,
  accept: (request: ExportRequest) => boolean | Promise<boolean> = () => true,
): CollectingSink {
  const sink: CollectingSink = {
    committed: [],
    requests: [],
    open: new Set(),
    abandoned: [],
    async reserve(request) {
      sink.requests.push(request)
      if (!(await accept(request))) return null
      const bytes = arena.allocate(request.sizeBytes)
      sink.open.add(bytes)
      return bytes
    },
    commit(record) {
      if (!sink.open.delete(record.bytes)) throw new Error('committed what was not reserved')
      sink.committed.push(record)
    },
    abandon(bytes) {
      if (!sink.open.delete(bytes)) throw new Error('abandoned what was not reserved')
      sink.abandoned.push(bytes)
    },
  }
  return sink
}

/** What the cache would ask to restore for this record. */
export function toRestore(
  { kind, from, to, bytes, crc32s }: ExportedRecord,
  keepTo = to,
): RestoreRecord {
  return { kind, from, to, keepTo, crc32s, ...bytes }
}

export const kvOf = ({ committed }: CollectingSink): ExportedRecord[] =>
  committed.filter(({ kind }) => kind === 'kv')

/** Everything that restores the tokens before `end`: rows in order, then what is exact there. */
export function chainTo({ committed }: CollectingSink, end: number): RestoreRecord[] {
  const chain: ExportedRecord[] = []
  for (let from = 0; from < end; from = chain.at(-1)?.to ?? end) {
    const fits = committed.filter((it) => it.kind === 'kv' && it.from === from && it.to <= end)
    const longest = fits.sort((a, b) => b.to - a.to)[0]
    if (longest === undefined) throw new Error(`no record goes on behind token ${from}`)
    chain.push(longest)
  }
  const boundary = committed.filter(({ kind, to }) => kind !== 'kv' && to === end)
  return [...chain, ...boundary].map((record) => toRestore(record))
}
