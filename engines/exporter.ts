/**
 * Exports the records of one request, in the order of their blocks, without holding up the engine:
 * room is asked for while a block is computed, and what has its answer is exported after the call.
 */
import type { Layout, RecordKind } from '../cache/types.ts'
import { checksums } from './checksum.ts'
import { EngineError } from './errors.ts'
import type { Turns } from './turns.ts'
import type { EngineSequence, ExportedRecord, ExportRequest, RecordBytes } from './types.ts'

/** Where records go; in the worker it stands for the service's `RecordSink`. */
export interface ExportOutlet {
  reserve(request: ExportRequest): Promise<RecordBytes | null>
  /** The bytes to fill for what was reserved. */
  memory(bytes: RecordBytes): Uint8Array
  /** The bytes are written; resolves when `memory` may be used for something else. */
  exported(record: ExportedRecord, written: Uint8Array): Promise<void>
  abandon(bytes: RecordBytes): void
}

export interface ExportSpan {
  readonly from: number
  readonly to: number
  readonly grid: boolean
}

/** A block for which room was asked before it was computed. */
export interface Announced {
  /** It has been computed, and the sequence stands at its end: export what there is room for. */
  computed(): Promise<void>
  /** It was not computed after all. */
  cancelled(): void
}

export interface Exporter {
  announce(span: ExportSpan): Announced
  /** Exports a span that the sequence holds, up to its end, after all the earlier ones. */
  tail(span: ExportSpan): Promise<void>
  /** Waits for the answers that are missing, and exports the rest. */
  finish(): Promise<void>
  /** Gives back whatever was reserved; for a request that failed. */
  drop(): Promise<void>
  /** Time that the engine spent on exports. */
  readonly exportMs: number
}

/** Blocks that may wait for room; the next one then waits for the oldest answer. */
const waitingExportsMax = 8

interface Pending {
  readonly request: ExportRequest
  readonly answer: Promise<void>
  slot: RecordBytes | null | undefined
  state: 'announced' | 'computed' | 'cancelled'
}

export function createExporter(options: {
  readonly sequence: EngineSequence
  readonly layout: Layout
  readonly turns: Turns
  readonly outlet: ExportOutlet
  readonly tokens: (from: number, to: number) => Uint32Array
}): Exporter {
  const { sequence, layout, turns, outlet } = options
  const waiting: Pending[] = []
  let exportMs = 0

  const ask = (kind: RecordKind, span: ExportSpan, sizeBytes: number): Pending => {
    const tokens = options.tokens(span.from, span.to)
    const request: ExportRequest = { kind, sizeBytes, tokens, ...span }
    const pending: Pending = {
      request,
      slot: undefined,
      state: 'announced',
      answer: outlet.reserve(request).then((slot) => {
        pending.slot = slot
      }),
    }
    return pending
  }

  const write = async (pending: Pending): Promise<void> => {
    const { request, slot } = pending
    if (slot === null || slot === undefined) return
    if (pending.state !== 'computed') {
      outlet.abandon(slot)
      return
    }
    const memory = outlet.memory(slot)
    const crc32s = await turns.take(() => {
      const startedAt = performance.now()
      checkSize(sequence, request, slot, memory)
      sequence.exportRecord(request.kind, request.from, request.to, memory)
      const written = checksums(memory)
      exportMs += performance.now() - startedAt
      return written
    })
    pending.slot = null
    await outlet.exported({ ...request, bytes: slot, crc32s }, memory)
  }

  /** In order, so that a block is never stored before its parent; at most `mayWait` stay behind. */
  const drain = async (mayWait: number): Promise<void> => {
    for (;;) {
      const oldest = waiting[0]
      if (oldest === undefined || oldest.state === 'announced') return
      if (oldest.slot === undefined && waiting.length <= mayWait) return
      await oldest.answer
      await write(oldest)
      waiting.shift()
    }
  }

  /** Kinds that are exact at one boundary only must be exported while the sequence stands there. */
  const exportBoundary = async (span: ExportSpan): Promise<void> => {
    for (const kind of layout.kinds) {
      if (kind === 'kv') continue
      const pending = ask(kind, span, sequence.recordBytes(kind, span.from, span.to))
      pending.state = 'computed'
      waiting.push(pending)
      await drain(0)
    }
  }

  const announce = (span: ExportSpan): Announced => {
    const sizeBytes = layout.kvFixedBytes + (span.to - span.from) * layout.kvBytesPerToken
    const pending = layout.kinds.includes('kv') ? ask('kv', span, sizeBytes) : null
    if (pending !== null) waiting.push(pending)
    return {
      async computed() {
        if (pending !== null) pending.state = 'computed'
        await exportBoundary(span)
        await drain(waitingExportsMax)
      },
      cancelled() {
        if (pending !== null) pending.state = 'cancelled'
      },
    }
  }

  return {
    announce,
    async tail(span) {
      await announce(span).computed()
      await drain(0)
    },
    finish: () => drain(0),
    async drop() {
      for (const pending of waiting.splice(0)) {
        await pending.answer
        if (pending.slot) outlet.abandon(pending.slot)
      }
    },
    get exportMs() {
      return exportMs
    },
  }
}

// The layout promises sizes exactly; a record of another size must never get into an arena slot.
function checkSize(
  sequence: EngineSequence,
  request: ExportRequest,
  slot: RecordBytes,
  memory: Uint8Array,
): void {
  const actual = sequence.recordBytes(request.kind, request.from, request.to)
  const expected = request.sizeBytes
  if (actual === expected && slot.sizeBytes === expected && memory.byteLength === expected) return
  throw new EngineError(
    'PREFIXD_E_ENGINE_COMPUTE',
    `The engine's ${request.kind} record of tokens ${request.from} to ${request.to} has ${actual} ` +
      `bytes, its layout says ${expected}, and ${slot.sizeBytes} were reserved. ` +
      'Nothing is stored; report this model.',
  )
}
