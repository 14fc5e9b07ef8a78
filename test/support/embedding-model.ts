/** Tiny models that make vectors of texts. Their weights are noise, fixed by a seed. */
import { byteTokens } from './byte-vocabulary.ts'
import { type GgufValue, writeGguf } from './gguf-writer.ts'
import { randomWeights } from './random-weights.ts'

const embd = 64
const hidden = 128
const heads = 4
const layers = 2
export const embeddingSize = embd
export const embeddingContext = 1024

/** As `<architecture>.pooling_type` counts them. */
export const poolingTypes = { none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const

const common = (architecture: string): Record<string, GgufValue> => ({
  'general.architecture': { text: architecture },
  'general.name': { text: 'noise' },
  [`${architecture}.block_count`]: { u32: layers },
  [`${architecture}.context_length`]: { u32: embeddingContext },
  [`${architecture}.embedding_length`]: { u32: embd },
  [`${architecture}.feed_forward_length`]: { u32: hidden },
  [`${architecture}.attention.head_count`]: { u32: heads },
})

/** Of Llama's architecture; `pooling` is what the file says, undefined: nothing. */
export function writeLlamaEmbedder(path: string, pooling?: keyof typeof poolingTypes): void {
  const tokens = [...byteTokens(), 'he', '<|end|>']
  const { matrix, norm } = randomWeights(7)
  const metadata: Record<string, GgufValue> = {
    ...common('llama'),
    'llama.attention.layer_norm_rms_epsilon': { f32: 1e-5 },
    'llama.rope.dimension_count': { u32: embd / heads },
    ...(pooling === undefined ? {} : { 'llama.pooling_type': { u32: poolingTypes[pooling] } }),
    'tokenizer.ggml.model': { text: 'gpt2' },
    'tokenizer.ggml.pre': { text: 'gpt-2' },
    'tokenizer.ggml.tokens': { texts: tokens },
    'tokenizer.ggml.token_type': { i32s: tokens.map((_, at) => (at < 257 ? 1 : 3)) },
    'tokenizer.ggml.merges': { texts: ['h e'] },
    'tokenizer.ggml.eos_token_id': { u32: 257 },
    'tokenizer.ggml.bos_token_id': { u32: 257 },
  }
  const blocks = Array.from({ length: layers }, (_, at) => [
    norm(`blk.${at}.attn_norm.weight`, embd),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].map((name) =>
      matrix(`blk.${at}.${name}.weight`, embd, embd),
    ),
    norm(`blk.${at}.ffn_norm.weight`, embd),
    matrix(`blk.${at}.ffn_gate.weight`, embd, hidden),
    matrix(`blk.${at}.ffn_up.weight`, embd, hidden),
    matrix(`blk.${at}.ffn_down.weight`, hidden, embd),
  ])
  writeGguf(path, metadata, [
    matrix('token_embd.weight', embd, tokens.length),
    norm('output_norm.weight', embd),
    matrix('output.weight', embd, tokens.length),
    ...blocks.flat(),
  ])
}

/** Of BERT's architecture, which sees a text from both ends; words are single letters. */
export function writeBertEmbedder(path: string): void {
  const letters = [...'abcdefghijklmnopqrstuvwxyz']
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
  const tokens = [...special, ...letters.map((letter) => `\u2581${letter}`), ...letters]
  const { matrix, norm, bias } = randomWeights(11)
  const metadata: Record<string, GgufValue> = {
    ...common('bert'),
    'bert.attention.layer_norm_epsilon': { f32: 1e-12 },
    'bert.attention.causal': { bool: false },
    'bert.pooling_type': { u32: poolingTypes.cls },
    'tokenizer.ggml.model': { text: 'bert' },
    'tokenizer.ggml.tokens': { texts: tokens },
    'tokenizer.ggml.token_type': { i32s: tokens.map((_, at) => (at < special.length ? 3 : 1)) },
    'tokenizer.ggml.token_type_count': { u32: 2 },
    'tokenizer.ggml.padding_token_id': { u32: 0 },
    'tokenizer.ggml.unknown_token_id': { u32: 1 },
    'tokenizer.ggml.bos_token_id': { u32: 2 },
    'tokenizer.ggml.cls_token_id': { u32: 2 },
    'tokenizer.ggml.seperator_token_id': { u32: 3 },
    'tokenizer.ggml.mask_token_id': { u32: 4 },
  }
  const linear = (name: string, from: number, to: number) => [
    matrix(`${name}.weight`, from, to),
    bias(`${name}.bias`, to),
  ]
  const layerNorm = (name: string) => [norm(`${name}.weight`, embd), bias(`${name}.bias`, embd)]
  const blocks = Array.from({ length: layers }, (_, at) => [
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].flatMap((name) =>
      linear(`blk.${at}.${name}`, embd, embd),
    ),
    ...layerNorm(`blk.${at}.attn_output_norm`),
    ...linear(`blk.${at}.ffn_up`, embd, hidden),
    ...linear(`blk.${at}.ffn_down`, hidden, embd),
    ...layerNorm(`blk.${at}.layer_output_norm`),
  ])
  writeGguf(path, metadata, [
    matrix('token_embd.weight', embd, tokens.length),
    matrix('position_embd.weight', embd, embeddingContext),
    matrix('token_types.weight', embd, 2),
    ...layerNorm('token_embd_norm'),
    ...blocks.flat(),
  ])
}
