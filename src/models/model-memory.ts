/**
 * What a model's memory of a conversation takes, from the metadata of its file. Pure. The keys and
 * the layers' patterns are those of llama.cpp v0.5.0 (`load_arch_hparams` of each architecture);
 * where the file tells too little the worst is taken, and `guess` says so.
 */
import type { GgufMetadata } from './gguf-metadata.ts'
import { type KvTypes, rowBytes } from './kv-types.ts'

/** Numbers that one token leaves in all layers of a kind together. */
export interface Rows {
  readonly keys: number
  readonly values: number
}

export type MemoryKind = 'kv' | 'window' | 'state'

export interface ModelMemory {
  readonly architecture: string
  readonly layers: number
  readonly trainedContextTokens: number
  /** Empty for a model that makes vectors. */
  readonly kinds: readonly MemoryKind[]
  /** Of every token. */
  readonly kv: Rows
  /** Of the last `tokens` tokens only. */
  readonly window: Rows & { readonly tokens: number }
  /** Of no single token: the same size however long the text is. */
  readonly stateBytes: number
  /** Widest rows that pass through the layers, for what computing takes. */
  readonly rowWidth: { readonly embedding: number; readonly hidden: number }
  /** What the file does not say, as a sentence; null: it says everything. */
  readonly guess: string | null
}

/** Layers that see the last tokens only: all but every n-th one, or all but the first of n. */
const windowPatterns: Readonly<Record<string, { every: number; first?: boolean }>> = {
  afmoe: { every: 4 },
  cohere2: { every: 4 },
  cohere2moe: { every: 4, first: true },
  'exaone-moe': { every: 4 },
  exaone4: { every: 4 },
  gemma2: { every: 2 },
  gemma3: { every: 6 },
  gemma3n: { every: 5 },
  'gpt-oss': { every: 2 },
  laguna: { every: 4, first: true },
  mellum: { every: 4 },
  olmo2: { every: 4 },
  plamo3: { every: 8 },
  smallthinker: { every: 4, first: true },
}

/** One layer of so many has attention; the others have a state. The file may say another number. */
const attentionIntervals: Readonly<Record<string, number>> = {
  qwen35: 4,
  qwen35moe: 4,
  qwen3next: 4,
}

/** Every layer that attends sees the last tokens only, where there is a window. */
const windowedEverywhere: readonly string[] = ['lfm2']

/** Every layer has attention and a state. */
const bothInEachLayer: readonly string[] = ['falcon-h1']

/** No layer has attention. */
const recurrent = ['arwkv7', 'mamba', 'mamba2', 'rwkv6', 'rwkv6qwen2', 'rwkv7']

/** The file names a window that llama.cpp does not use. */
const windowless: readonly string[] = ['phi3']

/** State rows are F32. */
const stateNumberBytes = 4

/** Null where the file does not even say how many layers the model has, and how wide they are. */
export function modelMemoryOf(metadata: GgufMetadata): ModelMemory | null {
  const file = createFacts(metadata)
  const layers = file.number('block_count')
  const embedding = file.number('embedding_length')
  if (layers === null || embedding === null) return null
  const makesVectors =
    metadata.get(`${file.architecture}.attention.causal`) === false ||
    (file.number('pooling_type') ?? 0) > 0
  const rowWidth = { embedding, hidden: hiddenWidth(file, embedding) }
  const trainedContextTokens = file.number('context_length') ?? 0
  const shared = { architecture: file.architecture, layers, trainedContextTokens, rowWidth }
  if (makesVectors) return { ...shared, ...nothing }

  const windows = windowsOf(file, layers)
  const kv = { keys: 0, values: 0 }
  const window = { keys: 0, values: 0, tokens: windows.tokens }
  let states = 0
  for (let layer = 0; layer < layers; layer += 1) {
    const { attends, hasState } = partsOf(file, layer)
    if (hasState) states += 1
    const isWindowed = windows.at(layer)
    const rows = rowsOf(file, layer, embedding, isWindowed)
    const into = isWindowed ? window : kv
    if (!attends || rows === null) continue
    into.keys += rows.keys
    into.values += rows.values
  }
  const stateBytes = states * (stateNumbers(file, embedding) ?? 0) * stateNumberBytes
  const kinds: MemoryKind[] = [
    ...(kv.keys > 0 ? (['kv'] as const) : []),
    ...(window.keys > 0 ? (['window'] as const) : []),
    ...(stateBytes > 0 ? (['state'] as const) : []),
  ]
  return { ...shared, kinds, kv, window, stateBytes, guess: windows.guess }
}

const nothing = {
  kinds: [],
  kv: { keys: 0, values: 0 },
  window: { keys: 0, values: 0, tokens: 0 },
  stateBytes: 0,
  guess: null,
} as const

/** Bytes that each token of the context takes. */
export const kvBytesPerToken = ({ kv }: ModelMemory, types: KvTypes): number =>
  rowBytes(kv.keys, types.keys) + rowBytes(kv.values, types.values)

type Facts = ReturnType<typeof createFacts>

/** Metadata of the architecture; a value may be one for all layers, or a list with one for each. */
function createFacts(metadata: GgufMetadata) {
  const architecture = String(metadata.get('general.architecture') ?? 'unknown')
  const get = (key: string) => metadata.get(`${architecture}.${key}`)
  return {
    architecture,
    get,
    number: (key: string): number | null => {
      const value = get(key)
      return typeof value === 'number' ? value : null
    },
    /** Of one layer; null where the file does not say it. */
    at: (key: string, layer: number): number | null => {
      const value = get(key)
      if (typeof value === 'number') return value
      return Array.isArray(value) ? (value[layer] ?? null) : null
    },
    most: (key: string): number => {
      const value = get(key)
      if (Array.isArray(value)) return Math.max(0, ...value)
      return typeof value === 'number' ? value : 0
    },
  }
}

function hiddenWidth(file: Facts, embedding: number): number {
  const experts =
    file.most('expert_feed_forward_length') * Math.max(1, file.most('expert_used_count'))
  return Math.max(file.most('feed_forward_length'), experts, file.most('ssm.inner_size'), embedding)
}

interface Windows {
  readonly tokens: number
  readonly guess: string | null
  at(layer: number): boolean
}

function windowsOf(file: Facts, layers: number): Windows {
  const tokens = file.number('attention.sliding_window') ?? 0
  const none = { tokens: 0, guess: null, at: () => false }
  if (tokens === 0 || windowless.includes(file.architecture)) return none
  if (windowedEverywhere.includes(file.architecture)) return { ...none, tokens, at: () => true }
  const pattern = file.get('attention.sliding_window_pattern')
  if (Array.isArray(pattern)) {
    return { tokens, guess: null, at: (layer) => pattern[layer] === 1 }
  }
  const known = windowPatterns[file.architecture]
  if (known === undefined) {
    const which = `which of its ${layers} layers see only the last ${tokens} tokens`
    return { ...none, guess: `The file does not say ${which}; all are counted whole.` }
  }
  const every = typeof pattern === 'number' ? pattern : known.every
  const isWhole = (layer: number): boolean =>
    known.first === true ? layer % every === 0 : layer % every === every - 1
  return { tokens, guess: null, at: (layer) => every === 0 || !isWhole(layer) }
}

function partsOf(file: Facts, layer: number): { attends: boolean; hasState: boolean } {
  const { architecture } = file
  const keepsState = stateKeys.some((key) => file.get(key) !== undefined)
  if (bothInEachLayer.includes(architecture)) return { attends: true, hasState: true }
  if (recurrent.includes(architecture)) return { attends: false, hasState: true }
  const listed = file.get('attention.recurrent_layers')
  if (Array.isArray(listed)) {
    const hasState = listed[layer] === 1
    return { attends: !hasState, hasState }
  }
  const interval = file.number('full_attention_interval') ?? attentionIntervals[architecture]
  if (keepsState && interval !== undefined) {
    const attends = (layer + 1) % interval === 0
    return { attends, hasState: !attends }
  }
  const attends = headsAt(file, layer) > 0
  return { attends, hasState: keepsState && !attends }
}

const headsAt = (file: Facts, layer: number): number =>
  file.at('attention.head_count_kv', layer) ?? file.at('attention.head_count', layer) ?? 0

/** Null: this layer takes the keys and values of an earlier one. */
function rowsOf(file: Facts, layer: number, embedding: number, isWindowed: boolean): Rows | null {
  const layers = file.number('block_count') ?? 0
  if (layer >= layers - (file.number('attention.shared_kv_layers') ?? 0)) return null
  const length = (what: string): number =>
    (isWindowed ? file.at(`attention.${what}_length_swa`, layer) : null) ??
    file.at(`attention.${what}_length`, layer) ??
    embedding / Math.max(1, file.most('attention.head_count'))
  const heads = headsAt(file, layer)
  // Values are read out of the keys where attention is latent.
  const isLatent = file.number('attention.key_length_mla') !== null
  return { keys: heads * length('key'), values: isLatent ? 0 : heads * length('value') }
}

const stateKeys = [
  'ssm.state_size',
  'ssm.conv_kernel',
  'shortconv.l_cache',
  'wkv.head_size',
  'kda.head_dim',
]

/** Numbers of one layer's state: `n_embd_r` and `n_embd_s` of llama.cpp. Null: it has none. */
function stateNumbers(file: Facts, embedding: number): number | null {
  const number = (key: string): number => file.number(key) ?? 0
  const wkv = number('wkv.head_size')
  if (wkv > 0) return embedding * (number('token_shift_count') || 2) + embedding * wkv
  const shortConvolution = number('shortconv.l_cache')
  if (shortConvolution > 0) return embedding * (shortConvolution - 1)
  const convolved = Math.max(0, number('ssm.conv_kernel') - 1)
  const kda = number('kda.head_dim')
  if (kda > 0) {
    const heads = file.most('attention.head_count')
    return 3 * convolved * heads * kda + kda * kda * heads
  }
  const [inner, state] = [number('ssm.inner_size'), number('ssm.state_size')]
  if (inner === 0) return null
  return convolved * (inner + 2 * number('ssm.group_count') * state) + state * inner
}
