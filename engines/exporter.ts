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
  /** Does this model have records that are exact at one boundary only? */
  readonly hasBoundaries: boolean
  /** `atBoundary`: the records that are exact at the span's end only leave with it. */
  announce(span: ExportSpan, atBoundary: boolean): Announced
  /** Exports what the sequence's end needs that no block has brought out, after all the others. */
  end(span: ExportSpan, blockTokens: number): Promise<void>
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
  const boundaryKinds = layout.kinds.filter((kind) => kind !== 'kv')

  /** They must leave while the sequence stands at the span's end, so this waits for their room. */
  const exportBoundary = async (span: ExportSpan): Promise<void> => {
    for (const kind of boundaryKinds) {
      const sizeBytes = sequence.recordBytes(kind, span.from, span.to)
      queue.add(kind, span, sizeBytes).state = 'computed'
    }
    await queue.drain(0)
  }

  const announce = (span: ExportSpan, atBoundary: boolean): Announced => {
    const sizeBytes = layout.kvFixedBytes + (span.to - span.from) * layout.kvBytesPerToken
    const pending = layout.kinds.includes('kv') ? queue.add('kv', span, sizeBytes) : null
    return {
      async computed() {
        if (pending !== null) pending.state = 'computed'
        if (atBoundary) await exportBoundary(span)
        else await queue.drain(waitingExportsMax)
      },
      cancelled() {
        if (pending !== null) pending.state = 'cancelled'
      },
    }
  }

  return {
    hasBoundaries: boundaryKinds.length > 0,
    announce,
    async end(span, blockTokens) {
      const isBlock = span.to - span.from === blockTokens
      if (isBlock) await exportBoundary(span)
      else await announce(span, true).computed()
    },
    finish: () => queue.drain(0),
  }
}
