/**
 * In which types keys and values are kept, and whether attention is computed in one kernel. Both
 * change the bytes of records, and stand in the fingerprint.
 */
import { EngineError } from '../errors.ts'
import type { WorkerOptions } from '../types.ts'

/** `ggml_type`. */
const typeNumbers = {
  f16: 1,
  bf16: 30,
  q8_0: 8,
  q5_1: 7,
  q5_0: 6,
  q4_1: 3,
  q4_0: 2,
  iq4_nl: 20,
} as const
type KvType = keyof typeof typeNumbers

/** `llama_flash_attn_type`. */
const flashNumbers = { auto: -1, off: 0, on: 1 } as const
export type FlashAttention = keyof typeof flashNumbers

export interface AttentionSettings {
  readonly keys: KvType
  readonly values: KvType
  readonly flashAttention: FlashAttention
}

const isType = (word: string): word is KvType => Object.hasOwn(typeNumbers, word)
const isFlash = (word: string): word is FlashAttention => Object.hasOwn(flashNumbers, word)
const isQuantised = (type: KvType): boolean => type !== 'f16' && type !== 'bf16'

/** `kvType` is one type, or keys' and values' with a slash; throws `PREFIXD_E_ENGINE_SETTINGS`. */
export function readAttention(engine: WorkerOptions['engine']): AttentionSettings {
  const { kvType = 'f16', flashAttention = 'on' } = engine
  const [keys = '', values = keys, ...more] = String(kvType).split('/')
  if (!isType(keys) || !isType(values) || more.length > 0) {
    const known = Object.keys(typeNumbers).join(', ')
    throw refused(`kvType is ${kvType}; it must be one of ${known}, or two with a slash between.`)
  }
  if (!isFlash(String(flashAttention))) {
    throw refused(`flashAttention is ${flashAttention}; it must be on, off or auto.`)
  }
  if (flashAttention === 'off' && isQuantised(values)) {
    throw refused(
      `quantised values (${values}) need flash attention. ` +
        `Set --flash-attention on, or --kv-type ${keys}/f16.`,
    )
  }
  return { keys, values, flashAttention: flashAttention as FlashAttention }
}

/** Fields of `llama_context_params`. */
export const attentionParams = (settings: AttentionSettings): Readonly<Record<string, number>> => ({
  type_k: typeNumbers[settings.keys],
  type_v: typeNumbers[settings.values],
  flash_attn_type: flashNumbers[settings.flashAttention],
})

const refused = (words: string): EngineError =>
  new EngineError('PREFIXD_E_ENGINE_SETTINGS', `The KV cache: ${words}`)
