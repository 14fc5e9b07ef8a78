/**
 * What the memory of well-known models takes, from the shapes that their makers publish: F16 keys
 * and values, F32 states, as llama.cpp keeps them. Its heads of a few dozen bytes are left out.
 */

export interface FamilyShape {
  readonly family: string
  readonly example: string
  readonly kvBytesPerToken: number
  /** Of windows and states together, where the sequence is longer than a window; 0: none. */
  readonly boundaryBytes: number
}

const f16 = 2
const f32 = 4

/** Keys and values of one token in so many layers. */
const rows = (layers: number, heads: number, headSize: number): number =>
  layers * 2 * heads * headSize * f16

/** Mamba 2 keeps the last inputs of its convolution, and a matrix. */
const mamba2 = (layers: number, inner: number, state: number, groups: number): number =>
  layers * (3 * (inner + 2 * groups * state) + state * inner) * f32

/** A gated delta net: the convolution of keys, queries and values, and a matrix for each head. */
function deltaNet(layers: number, keyHeads: number, valueHeads: number, size: number): number {
  const channels = (2 * keyHeads + valueHeads) * size
  return layers * (3 * channels + valueHeads * size * size) * f32
}

export const familyShapes: readonly FamilyShape[] = [
  {
    family: 'plain',
    example: 'Llama 3.2 1B',
    kvBytesPerToken: rows(16, 8, 64),
    boundaryBytes: 0,
  },
  {
    family: 'sliding windows of 512',
    example: 'Gemma 3 1B',
    kvBytesPerToken: rows(4, 1, 256),
    boundaryBytes: 512 * rows(22, 1, 256),
  },
  {
    family: 'sliding windows of 128',
    example: 'gpt-oss 20B',
    kvBytesPerToken: rows(12, 8, 64),
    boundaryBytes: 128 * rows(12, 8, 64),
  },
  {
    family: 'hybrid, short convolutions',
    example: 'LFM2 1.2B',
    kvBytesPerToken: rows(6, 8, 64),
    boundaryBytes: 10 * 2 * 2048 * f32,
  },
  {
    family: 'hybrid, gated delta net',
    example: 'Qwen3-Next 80B',
    kvBytesPerToken: rows(12, 2, 256),
    boundaryBytes: deltaNet(36, 16, 32, 128),
  },
  {
    family: 'recurrent',
    example: 'Mamba 2 130M',
    kvBytesPerToken: 0,
    boundaryBytes: mamba2(24, 1536, 128, 1),
  },
]
