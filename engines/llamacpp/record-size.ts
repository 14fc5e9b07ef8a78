/** How large a record is, measured on the loaded model. */
import { EngineError } from '../errors.ts'
import type { LlamaContext } from './context.ts'
import { stateBytesFault } from './state-bytes.ts'

export interface RecordSize {
  readonly fixedBytes: number
  readonly bytesPerToken: number
}

const sequence = 0

/**
 * Computes three tokens, measures the state of one, two and three of them, and reads one record's
 * head. Throws `PREFIXD_E_ENGINE_LIBRARY` when sizes are not linear or the head is not as known.
 */
export function measureRecordSize(llama: LlamaContext, token: number): RecordSize {
  const { calls, context, memory, movingSequence } = llama
  const batch = llama.batch.fill(new Uint32Array(3).fill(token), 0, sequence, 'none')
  const code = calls.llama_decode(context, batch)
  if (code !== 0) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_MODEL',
      `llama.cpp could not compute three tokens with this model (code ${code}).`,
    )
  }
  const sizeOf = (tokenCount: number): number => {
    calls.llama_memory_seq_cp(memory, sequence, movingSequence, 0, tokenCount)
    const bytes = Number(calls.llama_state_seq_get_size_ext(context, movingSequence, 0))
    calls.llama_memory_seq_rm(memory, movingSequence, -1, -1)
    return bytes
  }
  const [one, two, three] = [sizeOf(1), sizeOf(2), sizeOf(3)]
  const head = new Uint8Array(three)
  calls.llama_state_seq_get_data_ext(context, head, three, sequence, 0)
  llama.wipe()
  const fault = stateBytesFault(head, 0, 3)
  if (three - two !== two - one || fault !== null) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_LIBRARY',
      `State bytes are not laid out as in the known releases: 1, 2 and 3 tokens take ${one}, ` +
        `${two} and ${three} bytes${fault === null ? '' : `; ${fault}`}. ` +
        'Install the package version of llama.cpp that prefixd names.',
    )
  }
  return { fixedBytes: one - (two - one), bytesPerToken: two - one }
}
