/** The types in which keys and values may be kept, and how many bytes their rows take. */

/** Bytes of 32 numbers. */
const bytesOf32 = {
  f16: 64,
  bf16: 64,
  q8_0: 34,
  q5_1: 24,
  q5_0: 22,
  q4_1: 20,
  q4_0: 18,
  iq4_nl: 18,
} as const

export type KvType = keyof typeof bytesOf32

export interface KvTypes {
  readonly keys: KvType
  readonly values: KvType
}

/** Of `--kv-type`: one type for both, or two with a slash; null for other texts. */
export function parseKvTypes(text: string): KvTypes | null {
  const [keys = '', values = keys, ...more] = text.split('/')
  return more.length === 0 && isType(keys) && isType(values) ? { keys, values } : null
}

const isType = (word: string): word is KvType => Object.hasOwn(bytesOf32, word)

export const halfPrecision: KvTypes = { keys: 'f16', values: 'f16' }

export const rowBytes = (numbers: number, type: KvType): number => (numbers * bytesOf32[type]) / 32
