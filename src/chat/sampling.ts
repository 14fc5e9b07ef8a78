/** Sampling values that a client may leave out → the complete set that an engine needs. Pure. */
import type { Sampling, TokenBias } from '../../engines/types.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError, shown } from '../errors.ts'

/** Null and absent mean the default. */
export type SamplingWishes = { readonly [K in keyof Sampling]?: number | null | undefined }

interface Range {
  readonly fallback: number
  readonly min: number
  readonly max: number
  readonly integer?: true
  /** The minimum itself is not allowed. */
  readonly aboveMin?: true
}

/** OpenAI's defaults and ranges; the fields that OpenAI does not have are off by default. */
const ranges: Readonly<Record<Exclude<keyof Sampling, 'seed'>, Range>> = {
  temperature: { fallback: 1, min: 0, max: 2 },
  topP: { fallback: 1, min: 0, max: 1 },
  // 0 and -1 both mean "off": llama-server says 0, vLLM says -1.
  topK: { fallback: 0, min: -1, max: 1_000_000, integer: true },
  minP: { fallback: 0, min: 0, max: 1 },
  repeatPenalty: { fallback: 1, min: 0, max: 2, aboveMin: true },
  frequencyPenalty: { fallback: 0, min: -2, max: 2 },
  presencePenalty: { fallback: 0, min: -2, max: 2 },
}

/** llama.cpp reads 2^32 - 1 as "choose one at random", so seeds end one below it. */
const seedCount = 2 ** 32 - 1

/**
 * `fieldNames` are the dialect's own names, for errors. `randomSeed` is used when the client gives
 * no seed, or -1 as llama-server's clients do. Throws `PREFIXD_E_INVALID_VALUE`.
 */
export function readSampling(
  wishes: SamplingWishes,
  fieldNames: Readonly<Record<keyof Sampling, string>>,
  randomSeed: number,
): Sampling {
  const read = (key: keyof typeof ranges) => inRange(wishes[key], ranges[key], fieldNames[key])
  return {
    temperature: read('temperature'),
    topP: read('topP'),
    topK: Math.max(0, read('topK')),
    minP: read('minP'),
    repeatPenalty: read('repeatPenalty'),
    frequencyPenalty: read('frequencyPenalty'),
    presencePenalty: read('presencePenalty'),
    seed: readSeed(wishes.seed, fieldNames.seed, randomSeed),
  }
}

function inRange(value: number | null | undefined, range: Range, field: string): number {
  if (value === null || value === undefined) return range.fallback
  const aboveMin = range.aboveMin ? value > range.min : value >= range.min
  if (aboveMin && value <= range.max && (!range.integer || Number.isInteger(value))) return value
  const what = range.integer ? 'a whole number' : 'a number'
  const from = range.aboveMin ? `above ${range.min} and at most` : `from ${range.min} to`
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `${field} must be ${what} ${from} ${range.max}, not ${value}.`,
    { field, next: `Leave it out for the default, ${range.fallback}.` },
  )
}

function readSeed(value: number | null | undefined, field: string, randomSeed: number): number {
  if (value === null || value === undefined || value === -1) return randomSeed % seedCount
  if (!Number.isSafeInteger(value)) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `${field} must be a whole number of at most 53 bits, not ${value}.`,
      { field, next: 'Leave it out for a random one.' },
    )
  }
  return ((value % seedCount) + seedCount) % seedCount
}

/** OpenAI's range; −100 is a ban in effect, 100 leaves hardly anything else. */
const biasMost = 100

/** A map of token ids, as texts, to biases. Throws `PREFIXD_E_INVALID_VALUE`. */
export function readLogitBias(wishes: object | null | undefined, field: string): TokenBias[] {
  const entries = Object.entries(wishes ?? {})
  if (entries.length > limits.logitBiases) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `${field} may name ${limits.logitBiases} tokens, not ${entries.length}.`,
      { field },
    )
  }
  return entries.map(([key, bias]: [string, unknown]) => {
    const token = Number(key)
    const isToken = /^\d{1,10}$/.test(key) && token < 2 ** 32
    const isBias = typeof bias === 'number' && Math.abs(bias) <= biasMost
    if (isToken && isBias) return { token, bias }
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `${field} must have token ids as keys, and numbers from -${biasMost} to ${biasMost}.`,
      { field: `${field}.${shown(key)}`, next: 'POST /tokenize gives the ids of a text.' },
    )
  })
}
