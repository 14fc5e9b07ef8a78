/**
 * How far the context reaches, and how positions beyond the training are scaled into it. Pure.
 * Scaling changes every K vector, so whatever is decided here stands in the fingerprint.
 */
import { EngineError } from '../errors.ts'

const ropeScalings = ['none', 'linear', 'yarn'] as const
export type RopeScaling = (typeof ropeScalings)[number]

export interface RopeFacts {
  readonly trainedContextTokens: number
  /** -1 (`LLAMA_ROPE_TYPE_NONE`): its positions were learned, or it has none. */
  readonly ropeType: number
  /** The file's own scaling reaches `trainedContextTokens` already, e.g. `yarn`; null: none. */
  readonly ownScaling: string | null
}

export interface Rope {
  readonly contextTokens: number
  /** Null: positions are the model's own. */
  readonly scaling: {
    readonly kind: Exclude<RopeScaling, 'none'>
    readonly originalTokens: number
    /** Context ÷ training, more than 1. */
    readonly factor: number
  } | null
}

/** Throws `PREFIXD_E_ENGINE_SETTINGS` for another word, or no word. */
export function readRopeScaling(setting: unknown): RopeScaling {
  const scaling = ropeScalings.find((each) => each === (setting ?? 'none'))
  if (scaling !== undefined) return scaling
  throw refused(`ropeScaling is ${String(setting)}; it must be one of ${ropeScalings.join(', ')}.`)
}

/**
 * `wantedTokens` 0 takes what the model was trained for. Without scaling that is also the limit;
 * within it nothing is scaled, so that the bytes stay those of a service without the setting.
 * Throws `PREFIXD_E_ENGINE_SETTINGS` where the model's positions cannot be scaled.
 */
export function planRope(wantedTokens: number, scaling: RopeScaling, facts: RopeFacts): Rope {
  const { trainedContextTokens: trained, ropeType, ownScaling } = facts
  const isWithin = wantedTokens === 0 || wantedTokens <= trained
  if (isWithin || scaling === 'none') {
    return { contextTokens: isWithin && wantedTokens > 0 ? wantedTokens : trained, scaling: null }
  }
  if (ropeType < 0) {
    throw refused(
      `this model has no rope to scale. Set --rope-scaling none, or --ctx to ${trained} or less.`,
    )
  }
  if (ownScaling !== null) {
    throw refused(
      `the model's file scales its rope itself (${ownScaling}), to ${trained} tokens. ` +
        `Set --ctx to ${trained} or less, or --rope-scaling none.`,
    )
  }
  const factor = wantedTokens / trained
  return {
    contextTokens: wantedTokens,
    scaling: { kind: scaling, originalTokens: trained, factor },
  }
}

/**
 * Fields of `llama_context_params` that differ from the defaults. YaRN's own constants stay the
 * library's: it derives the attention factor from the scale.
 */
export function ropeParams({ scaling }: Rope): Readonly<Record<string, number>> {
  if (scaling === null) return {}
  return {
    rope_scaling_type: scaling.kind === 'linear' ? linearType : yarnType,
    rope_freq_scale: 1 / scaling.factor,
    yarn_orig_ctx: scaling.originalTokens,
  }
}

/** `LLAMA_ROPE_SCALING_TYPE_LINEAR` and `…_YARN`. */
const linearType = 1
const yarnType = 2

/** Two contexts with different words here never share a block. */
export function ropeWords({ scaling }: Rope): string {
  if (scaling === null) return 'model'
  return `${scaling.kind} × ${scaling.factor} from ${scaling.originalTokens}`
}

const refused = (words: string): EngineError =>
  new EngineError('PREFIXD_E_ENGINE_SETTINGS', `Rope scaling: ${words}`)
