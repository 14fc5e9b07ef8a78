/** What the sequences of one model take of the memory, whichever engine computes them. */
import type { MemoryKind } from './model-memory.ts'

export interface ContextBytes {
  /** Keys and values of all tokens, windows and states. */
  readonly kept: number
  /** Of that: windows and states, which a longer context does not make larger. */
  readonly exact: number
  /** Buffers while it computes: they grow with the context too. */
  readonly computing: number
}

export interface SequenceMemory {
  readonly trainedContextTokens: number
  /** Empty for a model that makes vectors. */
  readonly kinds: readonly MemoryKind[]
  /** Keys and values that one token leaves. */
  readonly kvBytesPerToken: number
  /** What the files do not say, as a sentence; null: they say everything. */
  readonly guess: string | null
  /** Somebody expects less memory, or other answers, and gets neither; null: nobody does. */
  readonly useless: string | null
  /** The same with `--kv-type q8_0`; null: it is not the usual type already. */
  readonly quantised: SequenceMemory | null
  /** Of so many sequences in all, each with room for so many tokens. */
  bytesOf(contextTokens: number, sequences: number): ContextBytes
}
