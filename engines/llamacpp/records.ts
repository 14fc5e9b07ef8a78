/** Moves records between the caller's memory and the cells of the KV cache, in one copy. */
import type { RestoreRecord } from '../types.ts'
import type { LlamaContext } from './context.ts'
import { stateBytesFault } from './state-bytes.ts'

/**
 * Puts tokens [from, keepTo) of a record into sequence `id`: into the moving sequence first, since
 * llama.cpp empties the one that it reads into, then over by reference. Returns what is wrong, as
 * words, or null. After a fault the cells may hold anything, and the context must be wiped.
 */
export function importState(
  llama: LlamaContext,
  id: number,
  { from, to, keepTo }: RestoreRecord,
  bytes: Uint8Array,
): string | null {
  const fault = stateBytesFault(bytes, from, to)
  if (fault !== null) return fault
  const { calls, context, memory, movingSequence } = llama
  const read = calls.llama_state_seq_set_data_ext(
    context,
    bytes,
    bytes.byteLength,
    movingSequence,
    0,
  )
  if (Number(read) !== bytes.byteLength) return `llama.cpp took ${read} of its bytes`
  calls.llama_memory_seq_cp(memory, movingSequence, id, from, keepTo)
  calls.llama_memory_seq_rm(memory, movingSequence, -1, -1)
  const first = calls.llama_memory_seq_pos_min(memory, id)
  const last = calls.llama_memory_seq_pos_max(memory, id)
  if (first === 0 && last === keepTo - 1) return null
  return `positions ${first} to ${last} stand in the sequence afterwards`
}

/** Writes the state of tokens [from, to) into `into`; returns how many bytes llama.cpp wrote. */
export function exportState(
  llama: LlamaContext,
  id: number,
  from: number,
  to: number,
  into: Uint8Array,
): number {
  const { calls, context, memory, movingSequence } = llama
  calls.llama_memory_seq_cp(memory, id, movingSequence, from, to)
  const written = calls.llama_state_seq_get_data_ext(
    context,
    into,
    into.byteLength,
    movingSequence,
    0,
  )
  calls.llama_memory_seq_rm(memory, movingSequence, -1, -1)
  return Number(written)
}
