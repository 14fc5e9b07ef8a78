/** How large the records of a memory are, and what else of it one must know to move them. */
import type { Layout, RecordKind } from '../../cache/types.ts'
import type { Memory } from './architecture.ts'

/** Bytes of n tokens: `fixedBytes + n * bytesPerToken`. */
export interface LinearBytes {
  readonly fixedBytes: number
  readonly bytesPerToken: number
}

/** Measured on the loaded model (measure-memory.ts). */
export interface MemoryShape {
  readonly memory: Memory
  /** Tokens that the windowed layers see; 0 where there are none. */
  readonly windowTokens: number
  /** What llama.cpp writes of one token before its rows: more where positions have axes. */
  readonly cellBytes: number
  /** Without flash attention values are stored by dimension, not by token. */
  readonly transposedValues: boolean
  /** Nothing for a memory that keeps a state only. */
  readonly kv: LinearBytes
  readonly window: LinearBytes
  readonly stateBytes: number
  /**
   * The boundary part of an empty sequence, which clears a sequence's state where it has one. For
   * a plain memory it is the head alone.
   */
  readonly emptyBoundary: Uint8Array
}

/** In the order in which they are restored: a window's bytes clear a state. */
export const kindsOf: Readonly<Record<Memory, readonly RecordKind[]>> = {
  kv: ['kv'],
  iswa: ['kv', 'window'],
  hybrid: ['kv', 'state'],
  'hybrid-iswa': ['kv', 'window', 'state'],
  recurrent: ['kv', 'state'],
}

const linear = ({ fixedBytes, bytesPerToken }: LinearBytes, tokenCount: number): number =>
  fixedBytes + tokenCount * bytesPerToken

/** Exact bytes of a record, or null where this memory has none of that kind. */
export function recordBytesOf(
  shape: MemoryShape,
  kind: RecordKind,
  from: number,
  to: number,
): number | null {
  if (!kindsOf[shape.memory].includes(kind)) return null
  if (kind === 'kv') return linear(shape.kv, to - from)
  if (kind === 'window') return linear(shape.window, Math.min(to, shape.windowTokens))
  return shape.stateBytes
}

/** What llama.cpp says that a whole sequence of so many tokens takes, at least 1. */
export function sequenceBytesOf(shape: MemoryShape, tokenCount: number): number {
  if (shape.memory === 'recurrent') return shape.stateBytes
  return kindsOf[shape.memory].reduce((sum, kind) => {
    const bytes = recordBytesOf(shape, kind, 0, tokenCount) ?? 0
    return sum + bytes - (kind === 'kv' ? 0 : shape.emptyBoundary.byteLength)
  }, 0)
}

/** Of all records that are exact at one position, where the window is full. */
const boundaryBytesOf = (shape: MemoryShape): number =>
  kindsOf[shape.memory]
    .filter((kind) => kind !== 'kv')
    .reduce((sum, kind) => sum + (recordBytesOf(shape, kind, 0, shape.windowTokens) ?? 0), 0)

/** Without a shape nothing is stored, and `refusal` says why. */
export function layoutOf(shape: MemoryShape | null, refusal: string | null): Layout {
  return {
    kinds: shape === null ? [] : kindsOf[shape.memory],
    sliceable: shape?.memory === 'kv',
    refusal,
    kvBytesPerToken: shape?.kv.bytesPerToken ?? 0,
    kvFixedBytes: shape?.kv.fixedBytes ?? 0,
    rowBytesPerToken: Math.max(0, (shape?.kv.bytesPerToken ?? 0) - (shape?.cellBytes ?? 0)),
    boundaryBytes: shape === null ? 0 : boundaryBytesOf(shape),
  }
}
