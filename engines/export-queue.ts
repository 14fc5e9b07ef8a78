/** Records on their way out of the engine: asked for, answered, written, in the order of asking. */
import type { RecordKind } from '../cache/types.ts'
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

export interface PendingExport {
  /** `announced` until its tokens are computed; `cancelled` when they will not be. */
  state: 'announced' | 'computed' | 'cancelled'
}

export interface ExportQueue {
  /** Asks for room. */
  add(kind: RecordKind, span: ExportSpan, sizeBytes: number): PendingExport
  /**
   * Writes what is computed and has its answer, in order, so that no block is stored before its
   * parent. Waits for answers only while more than `mayWait` records are in the queue.
   */
  drain(mayWait: number): Promise<void>
  /** Gives back whatever was reserved. */
  drop(): Promise<void>
  /** Time that the engine spent on exports. */
  readonly exportMs: number
}

interface Pending extends PendingExport {
  readonly request: ExportRequest
  readonly answer: Promise<void>
  /** Undefined while nobody has answered; null when there is nothing to fill, or no more. */
  slot: RecordBytes | null | undefined
}

export function createExportQueue(options: {
  readonly sequence: EngineSequence
  readonly turns: Turns
  readonly outlet: ExportOutlet
  readonly tokens: (from: number, to: number) => Uint32Array
}): ExportQueue {
  const { sequence, turns, outlet } = options
  const waiting: Pending[] = []
  let exportMs = 0

  const write = async (pending: Pending): Promise<void> => {
    const { request, slot } = pending
    if (slot === null || slot === undefined) return
    if (pending.state === 'computed') {
      const memory = outlet.memory(slot)
      const crc32s = await turns.take(() => {
        const startedAt = performance.now()
        checkSize(sequence, request, slot, memory)
        sequence.exportRecord(request.kind, request.from, request.to, memory)
        const written = checksums(memory)
        exportMs += performance.now() - startedAt
        return written
      })
      await outlet.exported({ ...request, bytes: slot, crc32s }, memory)
    } else outlet.abandon(slot)
    pending.slot = null
  }

  return {
    add(kind, span, sizeBytes) {
      const tokens = options.tokens(span.from, span.to)
      const request: ExportRequest = { ...span, kind, sizeBytes, tokens }
      const pending: Pending = {
        request,
        state: 'announced',
        slot: undefined,
        answer: outlet.reserve(request).then((slot) => {
          pending.slot = slot
        }),
      }
      waiting.push(pending)
      return pending
    },
    async drain(mayWait) {
      for (;;) {
        const oldest = waiting[0]
        if (oldest === undefined || oldest.state === 'announced') return
        if (oldest.slot === undefined && waiting.length <= mayWait) return
        await oldest.answer
        await write(oldest)
        waiting.shift()
      }
    },
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
  const { kind, from, to, sizeBytes } = request
  const actual = sequence.recordBytes(kind, from, to)
  if (actual === sizeBytes && slot.sizeBytes === sizeBytes && memory.length === sizeBytes) return
  throw new EngineError(
    'PREFIXD_E_ENGINE_COMPUTE',
    `The engine's ${kind} record of tokens ${from} to ${to} has ${actual} bytes, its layout says ` +
      `${sizeBytes}, and ${slot.sizeBytes} were reserved. Nothing is stored; report this model.`,
  )
}
