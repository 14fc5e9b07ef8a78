/**
 * What a restored prefix changes of an answer. With `--reuse block`: nothing, bit by bit. With
 * `--reuse token`: no more than the engine's own batching does, which is measured beside it.
 */
import type { ReuseMode, TokenIds } from '../cache/index.ts'
import type { NodeEngine } from '../engines/index.ts'
import type { Receipt } from '../src/pipeline/types.ts'
import { type ExactAnswer, type ExactService, openExactService } from './exact-service.ts'
import { naturalText } from './natural-text.ts'
import { createRandom } from './random.ts'

export interface ExactnessOptions {
  readonly engine: NodeEngine
  readonly modelPath: string
  /** Empty; it keeps the records of all prompts. */
  readonly directory: string
  readonly promptTokens: readonly number[]
  readonly answerTokens: number
  readonly seed: number
  readonly threads: number
  readonly contextTokens: number
  readonly ramBytes: number
  readonly ssdBytes: number
  readonly blockTokens: number
  /** Sizes of the calls of the other cold runs; they end nowhere near the grid. */
  readonly otherCallTokens: readonly number[]
  /** Prompts up to this length are run cold in the other calls too. */
  readonly otherCallsUpTo: number
  readonly onProgress: (line: string) => void
}

/** One prompt, cold and restored by whole blocks, from RAM and after a restart from the SSD. */
export interface BlockProof {
  readonly promptTokens: number
  readonly cold: ExactAnswer
  readonly warm: ExactAnswer
  readonly restarted: ExactAnswer
  /** The sibling that leaves this prompt inside a block, restored by whole blocks. */
  readonly sibling: Sibling & { readonly byBlocks: ExactAnswer }
}

export interface Sibling {
  readonly tokens: TokenIds
  readonly sharedTokens: number
}

/** How far the logits of two answers are apart, over all positions before their tokens differ. */
export interface Distance {
  readonly what: string
  readonly promptTokens: number
  readonly positions: number
  readonly max: number
  /** Root of the mean square. */
  readonly rms: number
}

export interface TokenProof {
  readonly promptTokens: number
  readonly again: { readonly receipt: Receipt; readonly distance: Distance }
  readonly sibling: {
    readonly sharedTokens: number
    readonly receipt: Receipt
    readonly distance: Distance
  }
}

const bypass = { read: false, write: false }
const readOnly = { read: true, write: false }

const open = (options: ExactnessOptions, reuse: ReuseMode): Promise<ExactService> =>
  openExactService({ ...options, reuse })

/** Prompts of these lengths; no two share a beginning. */
async function makePrompts(service: ExactService, options: ExactnessOptions): Promise<TokenIds[]> {
  const prompts: TokenIds[] = []
  for (const [index, length] of options.promptTokens.entries()) {
    const tokens = await service.tokenize(naturalText(options.seed + index, length * 6))
    if (tokens.length < length) throw new Error(`a text of ${length} tokens came out too short`)
    prompts.push(tokens.slice(0, length))
  }
  return prompts
}

/** Shares a beginning that ends inside one of the last blocks, and goes on alone. */
async function makeSibling(
  service: ExactService,
  prompt: TokenIds,
  { seed, blockTokens }: ExactnessOptions,
): Promise<Sibling> {
  const random = createRandom(seed + prompt.length)
  const lastBlock = Math.floor((prompt.length - 1) / blockTokens) - random.integer(0, 1)
  const blockFrom = Math.max(lastBlock, 0) * blockTokens
  const shared = blockFrom + random.integer(9, Math.min(blockTokens, prompt.length - blockFrom) - 9)
  const text = naturalText(seed + 7919 + prompt.length, 400)
  const others = [...(await service.tokenize(text))].slice(0, random.integer(5, 40))
  // The first token of its own must not be the one that it leaves.
  while (others[0] === prompt[shared]) others.shift()
  const tokens = Uint32Array.from([...prompt.subarray(0, shared), ...others])
  return { tokens, sharedTokens: shared }
}

export async function proveBlockReuse(options: ExactnessOptions): Promise<BlockProof[]> {
  const { answerTokens, onProgress } = options
  const first = await open(options, 'block')
  const runs: { prompt: TokenIds; cold: ExactAnswer; warm: ExactAnswer }[] = []
  try {
    for (const prompt of await makePrompts(first, options)) {
      const cold = await first.answer(prompt, answerTokens)
      const warm = await first.answer(prompt, answerTokens)
      runs.push({ prompt, cold, warm })
      onProgress(`${prompt.length} tokens: cold, then warm from RAM`)
    }
  } finally {
    await first.close()
  }
  const second = await open(options, 'block')
  const proofs: BlockProof[] = []
  try {
    for (const { prompt, cold, warm } of runs) {
      const restarted = await second.answer(prompt, answerTokens)
      const sibling = await makeSibling(second, prompt, options)
      const byBlocks = await second.answer(sibling.tokens, answerTokens, readOnly)
      const promptTokens = prompt.length
      proofs.push({ promptTokens, cold, warm, restarted, sibling: { ...sibling, byBlocks } })
      onProgress(`${promptTokens} tokens: warm after the restart`)
    }
  } finally {
    await second.close()
  }
  return proofs
}

/**
 * Runs behind `proveBlockReuse`, on its directory. The yardstick of a sibling is its answer from
 * whole blocks, which that proof has shown to be the cold one.
 */
export async function proveTokenReuse(
  options: ExactnessOptions,
  proofs: readonly BlockProof[],
): Promise<TokenProof[]> {
  const { answerTokens, onProgress } = options
  const service = await open(options, 'token')
  const results: TokenProof[] = []
  try {
    const prompts = await makePrompts(service, options)
    for (const [index, { cold, sibling }] of proofs.entries()) {
      const prompt = prompts[index] as TokenIds
      const { promptTokens } = proofs[index] as BlockProof
      // The first one has only whole blocks to go by; it saves the tail for the second.
      await service.answer(prompt, 1)
      const again = await service.answer(prompt, answerTokens)
      const beside = await service.answer(sibling.tokens, answerTokens)
      results.push({
        promptTokens,
        again: { receipt: again.receipt, distance: distance('again', cold, again) },
        sibling: {
          sharedTokens: sibling.sharedTokens,
          receipt: beside.receipt,
          distance: distance('sibling', sibling.byBlocks, beside),
        },
      })
      onProgress(`${promptTokens} tokens: reused to the token`)
    }
  } finally {
    await service.close()
  }
  return results
}

/** How far cold runs of one prompt are apart that differ in the sizes of their calls only. */
export async function measureBatching(
  options: ExactnessOptions,
  proofs: readonly BlockProof[],
): Promise<Distance[]> {
  const runs = proofs.map(({ cold }) => [{ callTokens: options.blockTokens, answer: cold }])
  for (const callTokens of options.otherCallTokens) {
    // Calls end at multiples of the block, so another block size makes other calls.
    const directory = `${options.directory}-${callTokens}`
    const other = { ...options, directory, blockTokens: callTokens, ssdBytes: 0 }
    const service = await open(other, 'token')
    try {
      for (const [index, prompt] of (await makePrompts(service, options)).entries()) {
        if (prompt.length > options.otherCallsUpTo) continue
        const answer = await service.answer(prompt, options.answerTokens, bypass)
        runs[index]?.push({ callTokens, answer })
        options.onProgress(`${prompt.length} tokens: cold in calls of ${callTokens}`)
      }
    } finally {
      await service.close()
    }
  }
  return runs.flatMap((cold) =>
    cold.flatMap((left, at) =>
      cold.slice(at + 1).map((right) => {
        const what = `calls of ${left.callTokens} and of ${right.callTokens}`
        return distance(what, left.answer, right.answer)
      }),
    ),
  )
}

/** Bit by bit: equal tokens, and equal bytes of all their logits. */
export function isIdentical(left: ExactAnswer, right: ExactAnswer): boolean {
  return (
    left.tokens.length === right.tokens.length &&
    left.tokens.every((token, at) => token === right.tokens[at]) &&
    left.logits.every((logits, at) => {
      const other = right.logits[at]
      return other !== undefined && bytesOf(logits).equals(bytesOf(other))
    })
  )
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)

export function distance(what: string, left: ExactAnswer, right: ExactAnswer): Distance {
  let max = 0
  let sumOfSquares = 0
  let count = 0
  let positions = 0
  for (const [at, logits] of left.logits.entries()) {
    const other = right.logits[at] as Float32Array
    for (let token = 0; token < logits.length; token += 1) {
      const difference = Math.abs((logits[token] as number) - (other[token] as number))
      if (difference > max) max = difference
      sumOfSquares += difference * difference
    }
    count += logits.length
    positions += 1
    // From here on they answer different prompts.
    if (left.tokens[at] !== right.tokens[at]) break
  }
  const { promptTokens } = left.receipt
  return { what, promptTokens, positions, max, rms: Math.sqrt(sumOfSquares / count) }
}
