/**
 * Tiny models of each family of memory, for restores on layouts that no small public model has.
 * Their weights are noise, fixed by a seed: the texts make no sense, but logits and greedy tokens
 * are reproducible, and depend on every byte that a restore puts back.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type ByteVocabulary, byteVocabulary } from './byte-vocabulary.ts'
import { type GgufTensor, type GgufValue, writeGguf } from './gguf-writer.ts'
import { type RandomWeights, randomWeights } from './random-weights.ts'

export const familyNames = [
  'llama',
  'gemma3-128',
  'gemma3-512',
  'gpt-oss',
  'lfm2',
  'lfm2-window',
  'qwen35',
  'mamba2',
] as const
export type FamilyName = (typeof familyNames)[number]

interface FamilyModel {
  readonly metadata: Readonly<Record<string, GgufValue>>
  readonly tensors: readonly GgufTensor[]
}

interface Parts {
  readonly weights: RandomWeights
  readonly vocabulary: ByteVocabulary
}

const embd = 128
const hidden = 256
const heads = 2
const kvHeads = 1
/** A multiple of 64: llama.cpp rotates quantised rows of such heads. */
const headSize = 64
const trainedContext = 8192

/** Bump when what is written changes: files of earlier versions are not looked at. */
const version = 1

const families: Readonly<Record<FamilyName, (parts: Parts) => FamilyModel>> = {
  llama,
  'gemma3-128': (parts) => gemma3(parts, 128),
  'gemma3-512': (parts) => gemma3(parts, 512),
  'gpt-oss': gptOss,
  lfm2: (parts) => lfm2(parts, null),
  'lfm2-window': (parts) => lfm2(parts, 128),
  qwen35,
  mamba2,
}

/** Path of a family's model, which is written once a machine: some MB, in well under a second. */
export function familyModelPath(name: FamilyName): string {
  const folder = join(tmpdir(), `prefixd-family-models-${version}`)
  const path = join(folder, `${name}.gguf`)
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  const vocabulary = byteVocabulary()
  const seed = 1 + familyNames.indexOf(name)
  const { metadata, tensors } = families[name]({ weights: randomWeights(seed), vocabulary })
  // Test files run beside each other: a half-written model must have no name that is looked for.
  const written = join(mkdtempSync(join(folder, 'writing-')), 'model.gguf')
  writeGguf(written, { ...metadata, ...vocabulary.metadata }, tensors)
  renameSync(written, path)
  rmdirSync(dirname(written))
  return path
}

function common(
  architecture: string,
  layers: number,
  more: Readonly<Record<string, GgufValue>>,
): Record<string, GgufValue> {
  const own: Record<string, GgufValue> = {
    block_count: { u32: layers },
    context_length: { u32: trainedContext },
    embedding_length: { u32: embd },
    feed_forward_length: { u32: hidden },
    'attention.head_count': { u32: heads },
    'attention.head_count_kv': { u32: kvHeads },
    'attention.key_length': { u32: headSize },
    'attention.value_length': { u32: headSize },
    'attention.layer_norm_rms_epsilon': { f32: 1e-5 },
    'rope.dimension_count': { u32: headSize },
    'rope.freq_base': { f32: 10_000 },
    ...more,
  }
  return {
    'general.architecture': { text: architecture },
    'general.name': { text: `noise ${architecture}` },
    ...Object.fromEntries(Object.entries(own).map(([key, it]) => [`${architecture}.${key}`, it])),
  }
}

const layersOf = (count: number, make: (prefix: string, index: number) => GgufTensor[]) =>
  Array.from({ length: count }, (_, index) => make(`blk.${index}`, index)).flat()

const ends = ({ weights, vocabulary }: Parts, embeddingScale = 1): GgufTensor[] => [
  // Rows are looked up, not summed: their scale has nothing to do with their length.
  weights.matrix('token_embd.weight', embd, vocabulary.size, embeddingScale * Math.sqrt(embd)),
  weights.norm('output_norm.weight', embd),
  weights.matrix('output.weight', embd, vocabulary.size, 3),
]

const attention = ({ weights }: Parts, blk: string, queryParts = 1): GgufTensor[] => [
  weights.matrix(`${blk}.attn_q.weight`, embd, heads * headSize * queryParts, 2),
  weights.matrix(`${blk}.attn_k.weight`, embd, kvHeads * headSize, 2),
  weights.matrix(`${blk}.attn_v.weight`, embd, kvHeads * headSize),
  weights.matrix(`${blk}.attn_output.weight`, heads * headSize, embd),
]

const headNorms = ({ weights }: Parts, blk: string): GgufTensor[] => [
  weights.norm(`${blk}.attn_q_norm.weight`, headSize),
  weights.norm(`${blk}.attn_k_norm.weight`, headSize),
]

const feedForward = ({ weights }: Parts, blk: string): GgufTensor[] => [
  weights.matrix(`${blk}.ffn_gate.weight`, embd, hidden),
  weights.matrix(`${blk}.ffn_up.weight`, embd, hidden),
  weights.matrix(`${blk}.ffn_down.weight`, hidden, embd),
]

function llama(parts: Parts): FamilyModel {
  const layers = 4
  const tensors = layersOf(layers, (blk) => [
    parts.weights.norm(`${blk}.attn_norm.weight`, embd),
    ...attention(parts, blk),
    parts.weights.norm(`${blk}.ffn_norm.weight`, embd),
    ...feedForward(parts, blk),
  ])
  return { metadata: common('llama', layers, {}), tensors: [...ends(parts), ...tensors] }
}

/** Every sixth layer sees everything, the others the last `windowTokens`. */
function gemma3(parts: Parts, windowTokens: number): FamilyModel {
  const layers = 6
  const norms = ['attn_norm', 'post_attention_norm', 'ffn_norm', 'post_ffw_norm']
  const tensors = layersOf(layers, (blk) => [
    ...norms.map((name) => parts.weights.norm(`${blk}.${name}.weight`, embd)),
    ...headNorms(parts, blk),
    ...attention(parts, blk),
    ...feedForward(parts, blk),
  ])
  return {
    metadata: common('gemma3', layers, { 'attention.sliding_window': { u32: windowTokens } }),
    // Gemma multiplies embeddings by the root of their length.
    tensors: [...ends(parts, 1 / Math.sqrt(embd)), ...tensors],
  }
}

/** Every second layer has a window; heads have sinks; a token goes to two of four experts. */
function gptOss(parts: Parts): FamilyModel {
  const layers = 4
  const experts = 4
  const expertHidden = 64
  const { weights } = parts
  const biased = (name: string, from: number, to: number) => [
    weights.matrix(`${name}.weight`, from, to),
    weights.bias(`${name}.bias`, to),
  ]
  const expert = (name: string, from: number, to: number): GgufTensor[] => [
    weights.matrices(`${name}.weight`, from, to, experts),
    weights.between(`${name}.bias`, [to, experts], -0.05, 0.05),
  ]
  const tensors = layersOf(layers, (blk) => [
    weights.norm(`${blk}.attn_norm.weight`, embd),
    weights.norm(`${blk}.post_attention_norm.weight`, embd),
    ...attention(parts, blk),
    weights.bias(`${blk}.attn_output.bias`, embd),
    weights.between(`${blk}.attn_sinks.weight`, [heads], -1, 1),
    ...biased(`${blk}.ffn_gate_inp`, embd, experts),
    ...expert(`${blk}.ffn_gate_exps`, embd, expertHidden),
    ...expert(`${blk}.ffn_up_exps`, embd, expertHidden),
    ...expert(`${blk}.ffn_down_exps`, expertHidden, embd),
  ])
  const metadata = common('gpt-oss', layers, {
    'attention.sliding_window': { u32: 128 },
    expert_count: { u32: experts },
    expert_used_count: { u32: 2 },
    expert_feed_forward_length: { u32: expertHidden },
  })
  return { metadata, tensors: [...ends(parts), ...tensors] }
}

/** Every third layer has attention, the others convolve the last tokens. With a window: both. */
function lfm2(parts: Parts, windowTokens: number | null): FamilyModel {
  const layers = 6
  const kernel = 3
  const { weights } = parts
  const hasAttention = (index: number): boolean => index % 3 === 2
  const tensors = layersOf(layers, (blk, index) => [
    weights.norm(`${blk}.attn_norm.weight`, embd),
    weights.norm(`${blk}.ffn_norm.weight`, embd),
    ...feedForward(parts, blk),
    ...(hasAttention(index)
      ? [...headNorms(parts, blk), ...attention(parts, blk)]
      : [
          weights.between(`${blk}.shortconv.conv.weight`, [kernel, embd], -1, 1),
          weights.matrix(`${blk}.shortconv.in_proj.weight`, embd, 3 * embd),
          weights.matrix(`${blk}.shortconv.out_proj.weight`, embd, embd),
        ]),
  ])
  const headsOfLayers = Array.from({ length: layers }, (_, index) =>
    hasAttention(index) ? kvHeads : 0,
  )
  const metadata = common('lfm2', layers, {
    'shortconv.l_cache': { u32: kernel },
    'attention.head_count_kv': { i32s: headsOfLayers },
    ...(windowTokens === null ? {} : { 'attention.sliding_window': { u32: windowTokens } }),
  })
  // Its last norm has the name of another place.
  const tops = ends(parts).map((tensor) =>
    tensor.name === 'output_norm.weight' ? { ...tensor, name: 'token_embd_norm.weight' } : tensor,
  )
  return { metadata, tensors: [...tops, ...tensors] }
}

/** Every fourth layer has attention, the others a gated delta net; positions have three axes. */
function qwen35(parts: Parts): FamilyModel {
  const layers = 4
  const [keyHeads, valueHeads, stateSize, kernel] = [1, 2, 64, 4]
  const [keys, values] = [stateSize * keyHeads, stateSize * valueHeads]
  const { weights } = parts
  const deltaNet = (blk: string): GgufTensor[] => [
    weights.matrix(`${blk}.attn_qkv.weight`, embd, 2 * keys + values),
    weights.matrix(`${blk}.attn_gate.weight`, embd, values),
    weights.between(`${blk}.ssm_conv1d.weight`, [kernel, 2 * keys + values], -1, 1),
    weights.between(`${blk}.ssm_dt.bias`, [valueHeads], -3, -1),
    weights.between(`${blk}.ssm_a`, [valueHeads], -1, -0.1),
    weights.matrix(`${blk}.ssm_beta.weight`, embd, valueHeads),
    weights.matrix(`${blk}.ssm_alpha.weight`, embd, valueHeads),
    weights.norm(`${blk}.ssm_norm.weight`, stateSize),
    weights.matrix(`${blk}.ssm_out.weight`, values, embd),
  ]
  const tensors = layersOf(layers, (blk, index) => [
    weights.norm(`${blk}.attn_norm.weight`, embd),
    weights.norm(`${blk}.post_attention_norm.weight`, embd),
    ...(index % 4 === 3 ? [...headNorms(parts, blk), ...attention(parts, blk, 2)] : deltaNet(blk)),
    ...feedForward(parts, blk),
  ])
  const metadata = common('qwen35', layers, {
    'rope.dimension_sections': { i32s: [8, 12, 12, 0] },
    'ssm.conv_kernel': { u32: kernel },
    'ssm.inner_size': { u32: values },
    'ssm.state_size': { u32: stateSize },
    'ssm.time_step_rank': { u32: valueHeads },
    'ssm.group_count': { u32: keyHeads },
    full_attention_interval: { u32: 4 },
  })
  return { metadata, tensors: [...ends(parts), ...tensors] }
}

function mamba2(parts: Parts): FamilyModel {
  const layers = 4
  const [inner, stateSize, stateHeads, groups, kernel] = [256, 64, 4, 1, 4]
  const convolved = inner + 2 * groups * stateSize
  const { weights } = parts
  const tensors = layersOf(layers, (blk) => [
    weights.norm(`${blk}.attn_norm.weight`, embd),
    weights.matrix(`${blk}.ssm_in.weight`, embd, inner + convolved + stateHeads),
    weights.between(`${blk}.ssm_conv1d.weight`, [kernel, convolved], -1, 1),
    weights.bias(`${blk}.ssm_conv1d.bias`, convolved),
    weights.between(`${blk}.ssm_dt.bias`, [stateHeads], -3, -1),
    weights.between(`${blk}.ssm_a`, [1, stateHeads], -1, -0.1),
    weights.between(`${blk}.ssm_d`, [1, stateHeads], 0.9, 1.1),
    weights.between(`${blk}.ssm_norm.weight`, [inner / groups, groups], 0.9, 1.1),
    weights.matrix(`${blk}.ssm_out.weight`, inner, embd),
  ])
  const metadata = common('mamba2', layers, {
    feed_forward_length: { u32: 0 },
    'attention.head_count': { u32: 0 },
    'ssm.conv_kernel': { u32: kernel },
    'ssm.inner_size': { u32: inner },
    'ssm.state_size': { u32: stateSize },
    'ssm.time_step_rank': { u32: stateHeads },
    'ssm.group_count': { u32: groups },
  })
  return { metadata, tensors: [...ends(parts), ...tensors] }
}
