/**
 * Decides which records of a request leave the engine, and when, without holding it up: room is
 * asked for while a block is computed, and what has its answer is exported after the call.
 */
import type { Layout } from '../cache/types.ts'
import type { ExportQueue, ExportSpan } from './export-queue.ts'
import type { EngineSequence } from './types.ts'

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
}

/** Blocks that may wait for room; the next one then waits for the oldest answer. */
const waitingExportsMax = 8

export function createExporter(
  sequence: EngineSequence,
  layout: Layout,
  queue: ExportQueue,
): Exporter {
  /** Kinds that are exact at one boundary only must be exported while the sequence stands there. */
  const exportBoundary = async (span: ExportSpan): Promise<void> => {
    for (const kind of layout.kinds) {
      if (kind === 'kv') continue
      const pending = queue.add(kind, span, sequence.recordBytes(kind, span.from, span.to))
      pending.state = 'computed'
      await queue.drain(0)
    }
  }

  const announce = (span: ExportSpan): Announced => {
    const sizeBytes = layout.kvFixedBytes + (span.to - span.from) * layout.kvBytesPerToken
    const pending = layout.kinds.includes('kv') ? queue.add('kv', span, sizeBytes) : null
    return {
      async computed() {
        if (pending !== null) pending.state = 'computed'
        await exportBoundary(span)
        await queue.drain(waitingExportsMax)
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
      await queue.drain(0)
    },
    finish: () => queue.drain(0),
  }
}
