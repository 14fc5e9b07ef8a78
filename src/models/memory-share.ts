/**
 * What one model gets of the machine's memory: the RAM tier and the weights take what they take,
 * and what is left decides how long the context is and how many requests are computed in turns.
 * Pure.
 *
 * The context follows from the machine's whole memory, so that the same prompt fits today and
 * tomorrow; what other programs hold right now only lowers the number of sequences.
 */
import { limits } from '../config/limits.ts'
import type { MachineMemory } from '../config/machine-memory.ts'
import { formatSize } from '../config/sizes.ts'
import { PrefixdError } from '../errors.ts'
import type { SequenceMemory } from './sequence-memory.ts'

export interface ShareWish {
  /** 0: what the model was trained for. */
  readonly contextTokens: number | 'auto'
  readonly sequences: number | 'auto'
  /** The context may be longer than the training. */
  readonly scaled: boolean
  readonly ramBytes: number
}

export interface MemoryShare {
  readonly contextTokens: number
  readonly sequences: number
  /** Weights, adapters, contexts and processes, without the RAM tier. */
  readonly engineBytes: number
  /** The same with one sequence, which nobody can do without. */
  readonly leastBytes: number
  /** Sentences about the choice: what somebody should know, and what only explains it. */
  readonly notices: readonly string[]
  readonly why: string
}

export interface ShareGiven {
  readonly machine: MachineMemory
  readonly weightsBytes: number
  /** Of LoRA files. */
  readonly adaptersBytes: number
  readonly model: SequenceMemory
  /** Null: it is the service's only model. */
  readonly beside: Beside | null
}

/** The service's other models, and what they take in all. */
export interface Beside {
  /** Whose share this is. */
  readonly name: string
  readonly others: readonly string[]
  readonly sizeBytes: number
}

const usable = ({ totalBytes }: MachineMemory): number =>
  Math.floor(totalBytes * (1 - limits.reservedMemoryShare))

/** Contexts are chosen in steps of this. */
const stepTokens = 256

/** Throws PREFIXD_E_MEMORY, which says what would fit, where the wishes do not. */
export function shareMemory(wish: ShareWish, given: ShareGiven): MemoryShare {
  const { machine, model } = given
  const besideBytes = given.beside?.sizeBytes ?? 0
  const usableBytes = usable(machine)
  const sum = (contextTokens: number, sequences: number, ramBytes = wish.ramBytes): number =>
    ramBytes + besideBytes + engineBytes(given, contextTokens, sequences)
  const fits = (contextTokens: number, sequences: number, ramBytes?: number): boolean =>
    sum(contextTokens, sequences, ramBytes) <= usableBytes

  const askedSequences = wish.sequences === 'auto' ? 1 : wish.sequences
  const askedContext = wishedContext(wish, model)
  const longest = (sequences: number): number | null =>
    longestFitting(askedContext, (tokens) => fits(tokens, sequences))
  const contextTokens = longest(askedSequences)
  if (contextTokens === null || contextTokens < leastContext(wish, model)) {
    throw refused(wish, given, { askedContext, askedSequences, usableBytes, longest, fits })
  }

  const sequences =
    wish.sequences === 'auto' ? unaskedSequences(contextTokens, given, sum) : wish.sequences
  return {
    contextTokens,
    sequences,
    engineBytes: engineBytes(given, contextTokens, sequences),
    leastBytes: engineBytes(given, contextTokens, 1),
    notices: noticesOf(given, { askedContext, contextTokens }),
    why: whyOf(contextTokens, sequences, wish, given),
  }
}

/** Throws PREFIXD_E_MEMORY where not even the weights fit, whatever contexts take beside them. */
export function refuseWeights(wish: ShareWish, given: Omit<ShareGiven, 'model'>): void {
  const { machine, weightsBytes, adaptersBytes, beside } = given
  const usableBytes = usable(machine)
  const needed =
    wish.ramBytes + (beside?.sizeBytes ?? 0) + weightsBytes + adaptersBytes + limits.processesBytes
  if (weightsBytes === 0 || needed <= usableBytes) return
  const others = othersWords(given)
  throw new PrefixdError(
    'PREFIXD_E_MEMORY',
    `The memory of ${formatSize(machine.totalBytes)} is too small${others.whose}: the RAM tier ` +
      `takes ${formatSize(wish.ramBytes)}, ${others.takes}the weights ` +
      `${formatSize(weightsBytes + adaptersBytes)}, the processes ` +
      `${formatSize(limits.processesBytes)}; that is ${formatSize(needed)} without any context, ` +
      `and ${formatSize(usableBytes)} may be used.`,
    {
      field: '--ram',
      next: `Use a smaller --ram, or a smaller model${others.way}.`,
    },
  )
}

/** What it takes with the shortest context that is of use. */
export function leastEngineBytes(wish: ShareWish, given: Omit<ShareGiven, 'beside'>): number {
  const sequences = wish.sequences === 'auto' ? 1 : wish.sequences
  return engineBytes(given, leastContext(wish, given.model), sequences)
}

function leastContext(wish: ShareWish, model: SequenceMemory): number {
  const asked = wishedContext(wish, model)
  return wish.contextTokens === 'auto' ? Math.min(limits.contextTokensFloor, asked) : asked
}

function engineBytes(
  { model, weightsBytes, adaptersBytes }: Omit<ShareGiven, 'beside'>,
  contextTokens: number,
  sequences: number,
): number {
  const contexts = sequencesBytes(model, contextTokens, sequences)
  return weightsBytes + adaptersBytes + limits.processesBytes + contexts
}

function sequencesBytes(model: SequenceMemory, contextTokens: number, sequences: number): number {
  const { kept, computing } = model.bytesOf(contextTokens, sequences)
  return kept + computing
}

function wishedContext(wish: ShareWish, { trainedContextTokens: trained }: SequenceMemory): number {
  const wished = wish.contextTokens === 'auto' ? limits.contextTokens : wish.contextTokens
  if (trained === 0) return wished === 0 ? limits.contextTokens : wished
  if (wished === 0) return trained
  return wish.scaled ? wished : Math.min(wished, trained)
}

/** `most`, or else the most whole steps; null: not even one step fits. */
function longestFitting(most: number, fits: (tokens: number) => boolean): number | null {
  if (fits(most)) return most
  let steps = 0
  let tooMany = Math.ceil(most / stepTokens)
  while (tooMany - steps > 1) {
    const middle = Math.floor((steps + tooMany) / 2)
    if (fits(middle * stepTokens)) steps = middle
    else tooMany = middle
  }
  return steps === 0 ? null : steps * stepTokens
}

/** Further sequences make nothing longer, only sooner: they take what is free and no more. */
function unaskedSequences(
  contextTokens: number,
  { machine, model, beside }: ShareGiven,
  sum: (contextTokens: number, sequences: number) => number,
): number {
  if (model.kinds.length === 0) return 1
  const models = 1 + (beside?.others.length ?? 0)
  const shareBytes = (machine.totalBytes * limits.unaskedSequencesShare) / models
  const usableBytes = Math.min(usable(machine), machine.availableBytes ?? Number.POSITIVE_INFINITY)
  let sequences = 1
  while (
    sequences < limits.sequences &&
    sequencesBytes(model, contextTokens, sequences + 1) <= shareBytes &&
    sum(contextTokens, sequences + 1) <= usableBytes
  ) {
    sequences += 1
  }
  return sequences
}

const grouped = (count: number): string => count.toLocaleString('en-US')
const tokens = (count: number): string => `${grouped(count)} tokens`
/** A sentence behind others, or nothing. */
const guessed = ({ guess }: SequenceMemory): string => (guess === null ? '' : ` ${guess}`)
const many = (sequences: number): string =>
  sequences === 1 ? '1 sequence' : `${sequences} sequences`

function noticesOf(
  { model, beside }: ShareGiven,
  chosen: { askedContext: number; contextTokens: number },
): string[] {
  const { askedContext, contextTokens } = chosen
  const others = beside === null ? 'the weights' : 'the other models'
  return [
    ...(model.useless === null ? [] : [model.useless]),
    ...(contextTokens < askedContext
      ? [
          `the context is ${tokens(contextTokens)} instead of ${grouped(askedContext)}: the ` +
            `memory holds no more beside ${others} and the RAM tier; a smaller --ram leaves more`,
        ]
      : []),
  ]
}

function whyOf(
  contextTokens: number,
  sequences: number,
  wish: ShareWish,
  given: ShareGiven,
): string {
  const { machine, model, weightsBytes, adaptersBytes } = given
  const { kept, computing } = model.bytesOf(contextTokens, sequences)
  const adapters = adaptersBytes === 0 ? '' : `, ${formatSize(adaptersBytes)} of adapters`
  return (
    `${many(sequences)} of ${tokens(contextTokens)} take ${formatSize(kept)}` +
    `${keptWords(model, contextTokens)} and ${formatSize(computing)} to ` +
    `compute with, beside ${formatSize(weightsBytes)} of weights${adapters} and ` +
    `${formatSize(wish.ramBytes)} of RAM tier ` +
    `in ${formatSize(machine.totalBytes)} of memory.${guessed(model)}`
  )
}

/** What sequences keep, in the figures that `models ls --long` and `ps` have of one. */
function keptWords(model: SequenceMemory, contextTokens: number): string {
  const ofToken = model.kvBytesPerToken
  const { exact } = model.bytesOf(contextTokens, 1)
  const parts = [
    ...(ofToken > 0 ? [`${formatSize(ofToken)} a token`] : []),
    ...(exact > 0 ? [`${formatSize(exact)} of windows and states`] : []),
  ]
  return parts.length === 0 ? '' : ` (each ${parts.join(' and ')})`
}

interface Refused {
  readonly askedContext: number
  readonly askedSequences: number
  readonly usableBytes: number
  readonly longest: (sequences: number) => number | null
  readonly fits: (contextTokens: number, sequences: number, ramBytes?: number) => boolean
}

function refused(wish: ShareWish, given: ShareGiven, asked: Refused): PrefixdError {
  const { askedContext, askedSequences, usableBytes } = asked
  const { machine, model, weightsBytes, adaptersBytes } = given
  const { kept, computing } = model.bytesOf(askedContext, askedSequences)
  const adapters = adaptersBytes === 0 ? '' : `the adapters ${formatSize(adaptersBytes)}, `
  const others = othersWords(given)
  const weights = `the weights ${formatSize(weightsBytes)}`
  const needed = takenWith(wish.ramBytes, given, asked)
  const ways = waysOut(wish, given, asked)
  return new PrefixdError(
    'PREFIXD_E_MEMORY',
    `The memory of ${formatSize(machine.totalBytes)} is too small${others.whose}: the RAM tier ` +
      `takes ${formatSize(wish.ramBytes)}, ${others.takes}${weights}, ${adapters}` +
      `${many(askedSequences)} of ${tokens(askedContext)} ` +
      `${formatSize(kept)}${keptWords(model, askedContext)}, ` +
      `computing ${formatSize(computing)}, the processes ` +
      `${formatSize(limits.processesBytes)}; that is ${formatSize(needed)}, and ` +
      `${formatSize(usableBytes)} may be used.${guessed(model)}`,
    {
      field: wish.contextTokens === 'auto' ? '--ram' : '--ctx',
      next:
        ways.length === 0
          ? `Use a smaller model or a smaller quantisation of it${others.way}.`
          : `Use ${ways.join(', or ')}${others.way}.`,
    },
  )
}

/** What an error says of the service's other models, where there are any. */
function othersWords({ beside }: Pick<ShareGiven, 'beside'>): {
  whose: string
  takes: string
  way: string
} {
  if (beside === null) return { whose: '', takes: '', way: '' }
  const { name, others, sizeBytes } = beside
  return {
    whose: ` for ${name}`,
    takes: `${others.join(', ')} ${formatSize(sizeBytes)}, `,
    way: ', or serve fewer models',
  }
}

const takenWith = (
  ramBytes: number,
  given: ShareGiven,
  { askedContext, askedSequences }: Refused,
): number =>
  ramBytes + (given.beside?.sizeBytes ?? 0) + engineBytes(given, askedContext, askedSequences)

/** Every setting that helps on its own, with the value that fits. */
function waysOut(wish: ShareWish, given: ShareGiven, asked: Refused): string[] {
  const { askedContext, askedSequences, usableBytes, longest, fits } = asked
  const context = longest(askedSequences)
  const fewer = Array.from({ length: askedSequences - 1 }, (_, at) => askedSequences - 1 - at)
  const sequences = fewer.find((count) => fits(askedContext, count))
  const ramBytes = usableBytes - takenWith(0, given, asked)
  const ramMebibytes = Math.floor(ramBytes / 1024 ** 2)
  const { quantised } = given.model
  const isSmaller =
    quantised !== null &&
    takenWith(wish.ramBytes, { ...given, model: quantised }, asked) <= usableBytes
  return [
    ...(context === null ? [] : [`--ctx ${context}`]),
    ...(sequences === undefined ? [] : [`--sequences ${sequences}`]),
    ...(ramBytes >= limits.ramBytesMin ? [`--ram ${ramMebibytes}MiB`] : []),
    ...(isSmaller ? ['--kv-type q8_0'] : []),
  ]
}
