/**
 * What an MLX model's memory of a conversation takes, from its config.json. Pure. Only for models
 * whose layers all keep keys and values of all tokens; mlx-lm decides the others in its own code.
 */
import { mlxTrainedLength } from './mlx-trained-length.ts'
import type { ModelMemory } from './model-memory.ts'

type ModelConfig = Readonly<Record<string, unknown>>

const plain: readonly string[] = [
  'granite',
  'helium',
  'internlm2',
  'llama',
  'mistral',
  'olmo2',
  'phi3',
  'qwen2',
  'qwen2_moe',
  'qwen3',
  'qwen3_moe',
  'seed_oss',
  'smollm3',
  'stablelm',
]

export interface MlxMemory extends ModelMemory {
  /** Of queries: each of them sees every token. */
  readonly heads: number
  readonly vocabulary: number
}

/** Null: the architecture is another one, or a number is missing. */
export function mlxMemoryOf(config: ModelConfig): MlxMemory | null {
  const number = (key: string): number | null => {
    const value = config[key]
    return typeof value === 'number' && value > 0 ? value : null
  }
  const architecture = String(config.model_type)
  const layers = number('num_hidden_layers')
  const embedding = number('hidden_size')
  const heads = number('num_attention_heads')
  if (layers === null || embedding === null || heads === null) return null
  if (!plain.includes(architecture) || hasWindow(config)) return null
  const headNumbers = number('head_dim') ?? embedding / heads
  const rows = layers * (number('num_key_value_heads') ?? heads) * headNumbers
  return {
    architecture,
    layers,
    trainedContextTokens: mlxTrainedLength(config) ?? 0,
    kinds: ['kv'],
    kv: { keys: rows, values: rows },
    window: { keys: 0, values: 0, tokens: 0 },
    stateBytes: 0,
    rowWidth: { embedding, hidden: number('intermediate_size') ?? embedding },
    heads,
    vocabulary: number('vocab_size') ?? 0,
    guess: null,
  }
}

/** Layers of their own kinds; of the old `sliding_window` alone mlx-lm takes no notice. */
const hasWindow = ({ layer_types: types }: ModelConfig): boolean =>
  Array.isArray(types) && types.some((type) => type !== 'full_attention')
