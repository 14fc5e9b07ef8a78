/** A byte-level vocabulary of a few hundred tokens, with a chat template. */
import type { GgufValue } from './gguf-writer.ts'

/** Every byte is a token, in the letters that GPT-2's tokenizers write bytes with. */
export function byteTokens(): string[] {
  const isPlain = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let moved = 0
  return Array.from({ length: 256 }, (_, byte) => {
    if (isPlain(byte)) return String.fromCodePoint(byte)
    moved += 1
    return String.fromCodePoint(255 + moved)
  })
}

/** As llama.cpp counts the kinds of tokens. */
const normal = 1
const control = 3

const specialTokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'] as const

const chatTemplate =
  "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n" +
  '{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'

export interface ByteVocabulary {
  readonly size: number
  readonly metadata: Readonly<Record<string, GgufValue>>
}

/** Bytes, pairs of the letters of English, and ChatML's special tokens, which come last. */
export function byteVocabulary(): ByteVocabulary {
  const letters = [...'etaoinshrdlucm']
  const pairs = letters.flatMap((first) => letters.map((second) => [first, second] as const))
  const tokens = [...byteTokens(), ...pairs.map(([first, second]) => first + second)]
  const all = [...tokens, ...specialTokens]
  const idOf = (token: (typeof specialTokens)[number]): GgufValue => ({ u32: all.indexOf(token) })
  return {
    size: all.length,
    metadata: {
      'tokenizer.ggml.model': { text: 'gpt2' },
      'tokenizer.ggml.pre': { text: 'gpt-2' },
      'tokenizer.ggml.tokens': { texts: all },
      'tokenizer.ggml.token_type': {
        i32s: all.map((_, id) => (id < tokens.length ? normal : control)),
      },
      'tokenizer.ggml.merges': { texts: pairs.map((pair) => pair.join(' ')) },
      'tokenizer.ggml.bos_token_id': idOf('<|endoftext|>'),
      'tokenizer.ggml.eos_token_id': idOf('<|im_end|>'),
      'tokenizer.ggml.add_bos_token': { bool: false },
      'tokenizer.chat_template': { text: chatTemplate },
    },
  }
}
