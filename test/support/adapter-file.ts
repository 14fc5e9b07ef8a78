/** Writes LoRA adapters for the tiny models of Llama's architecture. */
import { writeGguf } from './gguf-writer.ts'
import { randomWeights } from './random-weights.ts'

const embd = 128
const rank = 4

/** Changes the queries and the keys of the first two layers. */
export function writeAdapter(path: string, seed: number, architecture = 'llama'): void {
  const weights = randomWeights(seed)
  const pairs = [0, 1].flatMap((layer) =>
    [
      { name: `blk.${layer}.attn_q.weight`, to: 128 },
      { name: `blk.${layer}.attn_k.weight`, to: 64 },
    ].flatMap(({ name, to }) => [
      weights.matrix(`${name}.lora_a`, embd, rank),
      weights.matrix(`${name}.lora_b`, rank, to),
    ]),
  )
  const metadata = {
    'general.type': { text: 'adapter' },
    'general.architecture': { text: architecture },
    'adapter.type': { text: 'lora' },
    'adapter.lora.alpha': { f32: rank },
  }
  writeGguf(path, metadata, pairs)
}
