/** Everything that changes KV bytes, for the namespace of the cache. */
import type { Fingerprint } from '../types.ts'

export interface FingerprintFacts {
  readonly release: string
  /** E.g. `@node-llama-cpp/linux-x64 3.22.1`. */
  readonly origin: string
  readonly architecture: string
  /** What the CPU or GPU kernels were built for, e.g. `CPU : SSE3 = 1 | AVX2 = 1 | …`. */
  readonly kernels: string
  readonly device: string
  /** Does the context reach beyond the length that the rope was trained for? Null: not scaled. */
  readonly ropeReach: 'original' | 'extended' | null
  /** `ropeWords` of rope.ts: what this service scales; `model` when nothing. */
  readonly rope: string
  /** Types of keys and values, e.g. `q8_0/f16`; `none` where the model keeps no such rows. */
  readonly kvTypes: string
  /** Is attention computed in one kernel? Without it values are stored transposed. */
  readonly flashAttention: boolean
  /** `words` of adapters.ts. */
  readonly adapters: string
  /** `LLAMA_ATTN_ROT_DISABLE`, which stores quantised KV unrotated. */
  readonly rotationDisabled: string | undefined
}

/**
 * The number of threads is not in it: blocks prefilled with 1, 2 and 3 threads had equal bytes.
 * Calls of one token do depend on it (attention is summed in one part per thread), by as much as on
 * the size of calls, so that decoded tokens are no more exact than trimmed ones; neither is `grid`.
 */
export function fingerprintOf(facts: FingerprintFacts): Fingerprint {
  return {
    engine: 'llama.cpp',
    build: `llama.cpp ${facts.release} (${facts.origin})`,
    stateFormat: 'llama-seq-state/3',
    architecture: facts.architecture,
    kvTypes: facts.kvTypes,
    flashAttention: facts.flashAttention,
    settings: {
      adapters: facts.adapters,
      attentionRotation: (facts.rotationDisabled ?? '0') === '0' ? 'default' : 'disabled',
      device: facts.device,
      kernels: facts.kernels,
      rope: facts.rope,
      ...(facts.ropeReach === null ? {} : { ropeReach: facts.ropeReach }),
      streams: 'unified',
      yarn: 'model',
    },
  }
}
