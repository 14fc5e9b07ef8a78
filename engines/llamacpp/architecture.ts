/**
 * Which models this engine can store, and by which scheme. A wrong guess would be accepted by
 * llama.cpp and give wrong logits, so everything that is not listed is served without cache. The
 * lists follow `llama_model::create_memory` of v0.5.0.
 */

/** What llama.cpp keeps of the tokens that it has computed. */
export type Memory =
  /** `llama_kv_cache`: every token, in every layer. */
  | 'kv'
  /** `llama_kv_cache_iswa`: some layers keep only the last tokens. */
  | 'iswa'
  /** `llama_memory_hybrid`: some layers keep a recurrent state instead. */
  | 'hybrid'
  /** `llama_memory_hybrid_iswa`: both. */
  | 'hybrid-iswa'
  /** `llama_memory_recurrent`: a recurrent state, and nothing of single tokens. */
  | 'recurrent'

const plain = [
  ...['apertus', 'arcee', 'bailingmoe2', 'chatglm', 'command-r', 'deepseek', 'deepseek2', 'dots1'],
  ...[
    'ernie4_5',
    'ernie4_5-moe',
    'exaone',
    'falcon',
    'gemma',
    'glm4',
    'glm4moe',
    'gpt2',
    'gptneox',
  ],
  ...['granite', 'granitemoe', 'hunyuan-dense', 'hunyuan-moe', 'internlm2', 'llama', 'minicpm'],
  ...[
    'minicpm3',
    'minimax-m2',
    'mistral3',
    'mistral4',
    'nemotron',
    'olmo',
    'olmoe',
    'phi2',
    'phi3',
  ],
  ...['phimoe', 'qwen2', 'qwen2moe', 'qwen2vl', 'qwen3', 'qwen3moe', 'qwen3vl', 'qwen3vlmoe'],
  ...['seed_oss', 'smollm3', 'stablelm', 'starcoder2'],
]

/** Some of their models have no window, and a plain cache then. */
const windowed = [
  ...['afmoe', 'cohere2', 'cohere2moe', 'exaone-moe', 'exaone4', 'gemma2', 'gemma3', 'gemma3n'],
  ...['gemma4', 'gpt-oss', 'granite_swa', 'laguna', 'mellum', 'mimo2', 'olmo2', 'plamo3'],
  ...['smallthinker', 'step35'],
]

const hybrid = [
  ...['falcon-h1', 'granitehybrid', 'jamba', 'kimi-linear', 'lfm2', 'lfm2moe', 'nemotron_h'],
  ...['nemotron_h_moe', 'plamo2', 'qwen35', 'qwen35moe', 'qwen3next'],
]

const recurrent = ['arwkv7', 'mamba', 'mamba2', 'rwkv6', 'rwkv6qwen2', 'rwkv7']

const sparse = 'picks the tokens that it attends to by an index, which is not stored yet'

/** Known to need more than the schemes here give. */
const refused: Readonly<Record<string, string>> = {
  deepseek32: sparse,
  deepseek4: 'keeps compressed rows, which cannot be cut into blocks',
  dots3note: sparse,
  'glm-dsa': sparse,
  hy_v4: sparse,
  llama4: 'attends in chunks, whose boundaries are not stored yet',
  'minimax-m3': sparse,
  qwen4exp: sparse,
}

export interface ArchitectureFacts {
  /** `general.architecture` of the file. */
  readonly name: string
  /** Sliding window in tokens; 0 where there is none. */
  readonly windowTokens: number
  readonly recurrent: boolean
  readonly hybrid: boolean
}

export type MemoryChoice =
  | { readonly memory: Memory; readonly refusal: null }
  /** Why nothing of this model can be stored, as a sentence. */
  | { readonly memory: null; readonly refusal: string }

export function memoryOf(facts: ArchitectureFacts): MemoryChoice {
  const { name, windowTokens } = facts
  const hasWindow = windowTokens > 0
  const refuse = (words: string): MemoryChoice => ({
    memory: null,
    refusal: `Architecture ${name} ${words}.`,
  })
  const known = refused[name]
  if (known !== undefined) return refuse(known)
  if (facts.recurrent && recurrent.includes(name)) return { memory: 'recurrent', refusal: null }
  if (facts.hybrid && hybrid.includes(name)) {
    return { memory: hasWindow ? 'hybrid-iswa' : 'hybrid', refusal: null }
  }
  const attends = !facts.recurrent && !facts.hybrid
  if (attends && windowed.includes(name)) {
    return { memory: hasWindow ? 'iswa' : 'kv', refusal: null }
  }
  if (attends && !hasWindow && plain.includes(name)) return { memory: 'kv', refusal: null }
  return refuse('is not among those whose memory prefixd knows how to store')
}
