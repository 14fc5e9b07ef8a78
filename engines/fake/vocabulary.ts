/** The fake engine's words: one token per byte, and a few special ones. */
import type { TokenizeOptions } from '../types.ts'

const specials = [
  '<|begin|>',
  '<|end|>',
  '<|system|>',
  '<|user|>',
  '<|assistant|>',
  '<|tool|>',
  '<|tools|>',
  '<|before|>',
  '<|behind|>',
  '<|between|>',
] as const
export type Special = (typeof specials)[number]

const firstSpecial = 256
export const vocabularySizeMin = firstSpecial + specials.length
export const endToken = special('<|end|>')
export const gapTokens = {
  prefix: special('<|before|>'),
  suffix: special('<|behind|>'),
  middle: special('<|between|>'),
}

const specialPattern = new RegExp(`(${specials.map((it) => it.replaceAll('|', '\\|')).join('|')})`)

export function tokenize(text: string, options: TokenizeOptions): Uint32Array {
  const ids: number[] = options.addSpecial ? [special('<|begin|>')] : []
  const parts = options.parseSpecial ? text.split(specialPattern) : [text]
  for (const part of parts) {
    if (options.parseSpecial && isSpecial(part)) ids.push(special(part))
    else for (const byte of Buffer.from(part, 'utf8')) ids.push(byte)
  }
  return Uint32Array.from(ids)
}

/** Tokens beyond the special ones only make the vocabulary larger; they spell themselves. */
export function piece(token: number): Uint8Array {
  if (token < firstSpecial) return Uint8Array.of(token)
  return Buffer.from(specials[token - firstSpecial] ?? `<|unused-${token}|>`, 'utf8')
}

/** Tokens as text, special ones written out. */
export function tokenText(tokens: Uint32Array): string {
  return Buffer.concat([...tokens].map(piece)).toString('utf8')
}

export function special(word: Special): number {
  return firstSpecial + specials.indexOf(word)
}

export function isSpecial(text: string): text is Special {
  return (specials as readonly string[]).includes(text)
}
