/**
 * How the models of one service share the machine's memory: the RAM tier is there once, weights
 * and contexts are each one's own. Pure.
 */
import { limits } from '../config/limits.ts'
import type { MachineMemory } from '../config/machine-memory.ts'
import { formatSize } from '../config/sizes.ts'
import {
  leastEngineBytes,
  type MemoryShare,
  refuseWeights,
  type ShareWish,
  shareMemory,
} from './memory-share.ts'
import type { SequenceMemory } from './sequence-memory.ts'

export interface ModelNeeds {
  readonly name: string
  readonly weightsBytes: number
  /** Of LoRA files. */
  readonly adaptersBytes: number
  /** Null: nobody can tell what a context of it takes. */
  readonly model: SequenceMemory | null
}

export interface MemoryShares {
  /** In the order of the models; null where nobody can tell. */
  readonly shares: readonly (MemoryShare | null)[]
  /** Sentences that somebody should know, and sentences that explain the choice. */
  readonly notices: readonly string[]
  readonly whys: readonly string[]
}

/**
 * Contexts come before further sequences, and earlier models before later ones: these are left the
 * least that they work with. Throws PREFIXD_E_MEMORY, which names the model that does not fit.
 */
export function shareAmong(
  wish: ShareWish,
  machine: MachineMemory,
  models: readonly ModelNeeds[],
): MemoryShares {
  const alone = { ...wish, sequences: wish.sequences === 'auto' ? 1 : wish.sequences }
  const least = models.map((needs) => leastBytes(wish, machine, needs))
  const contexts = shareInTurn(alone, machine, models, least)
  const shares = shareInTurn(
    wish,
    machine,
    models,
    contexts.map((share, at) => share?.engineBytes ?? least[at] ?? 0),
  )
  const isKnown = shares.some((share) => share !== null)
  const takenBytes = shares.reduce(
    (sum, share, at) => sum + (share?.leastBytes ?? least[at] ?? 0),
    wish.ramBytes,
  )
  return {
    shares,
    notices: [
      ...sentences(models, shares, ({ notices }) => notices),
      ...(isKnown ? crowded(takenBytes, machine) : []),
    ],
    whys: sentences(models, shares, ({ why }) => [why]),
  }
}

function leastBytes(wish: ShareWish, machine: MachineMemory, needs: ModelNeeds): number {
  const { model, weightsBytes, adaptersBytes } = needs
  if (model !== null) return leastEngineBytes(wish, { machine, ...needs, model })
  return weightsBytes === 0 ? 0 : weightsBytes + adaptersBytes + limits.processesBytes
}

/** `taken`: what each model takes until it has chosen. */
function shareInTurn(
  wish: ShareWish,
  machine: MachineMemory,
  models: readonly ModelNeeds[],
  taken: readonly number[],
): (MemoryShare | null)[] {
  const takes = [...taken]
  return models.map(({ name, model, weightsBytes, adaptersBytes }, at) => {
    const others = models.map((other) => other.name).toSpliced(at, 1)
    const sizeBytes = takes.toSpliced(at, 1).reduce((sum, bytes) => sum + bytes, 0)
    const beside = others.length === 0 ? null : { name, others, sizeBytes }
    const given = { machine, weightsBytes, adaptersBytes, beside }
    if (model === null) {
      refuseWeights(wish, given)
      return null
    }
    const share = shareMemory(wish, { ...given, model })
    takes[at] = share.engineBytes
    return share
  })
}

/** Of several models each sentence begins with whom it is about. */
const sentences = (
  models: readonly ModelNeeds[],
  shares: readonly (MemoryShare | null)[],
  of: (share: MemoryShare) => readonly string[],
): string[] =>
  shares.flatMap((share, at) => {
    const about = models.length === 1 ? '' : `${models[at]?.name}: `
    return share === null ? [] : of(share).map((sentence) => about + sentence)
  })

const crowded = (takenBytes: number, { availableBytes }: MachineMemory): string[] =>
  availableBytes === null || takenBytes <= availableBytes
    ? []
    : [
        `prefixd takes ${formatSize(takenBytes)} in all, and other programs leave ` +
          `${formatSize(availableBytes)} now; the machine may become slow`,
      ]
