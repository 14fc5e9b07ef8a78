/**
 * Which models this engine can store. Only a memory that is one plain `llama_kv_cache` may be cut
 * into blocks and put together again; a wrong guess would be accepted by llama.cpp and give wrong
 * logits, so everything that is not listed is served without cache.
 */

/** Their memory is `llama_kv_cache` when they have no window (`create_memory` of v0.5.0). */
const plainArchitectures: ReadonlySet<string> = new Set([
  'apertus',
  'arcee',
  'command-r',
  'ernie4_5',
  'exaone',
  'gemma',
  'glm4',
  'granite',
  'granitemoe',
  'hunyuan-dense',
  'internlm2',
  'llama',
  'mistral3',
  'nemotron',
  'olmo',
  'olmo2',
  'olmoe',
  'phi2',
  'phi3',
  'qwen2',
  'qwen2moe',
  'qwen3',
  'qwen3moe',
  'seed_oss',
  'smollm3',
  'stablelm',
  'starcoder2',
])

export interface ArchitectureFacts {
  /** `general.architecture` of the file. */
  readonly name: string
  /** Sliding window in tokens; 0 where there is none. */
  readonly windowTokens: number
  readonly recurrent: boolean
  readonly hybrid: boolean
}

/** Why blocks of this model cannot be stored, as a sentence; null when they can. */
export function storageRefusal(facts: ArchitectureFacts): string | null {
  const served = 'It is served without cache.'
  if (facts.recurrent) {
    return `Architecture ${facts.name} keeps a recurrent state, which is not stored yet. ${served}`
  }
  if (facts.hybrid) {
    return (
      `Architecture ${facts.name} mixes attention with a recurrent state, ` +
      `which is not stored yet. ${served}`
    )
  }
  if (facts.windowTokens > 0) {
    return (
      `Architecture ${facts.name} has a sliding window of ${facts.windowTokens} tokens, ` +
      `which is not stored yet. ${served}`
    )
  }
  if (!plainArchitectures.has(facts.name)) {
    return `The KV cache of architecture ${facts.name} is not known to be plain. ${served}`
  }
  return null
}
