/** Characters of UTF-8 that are read byte by byte: a token may end inside of one. Pure. */

/** The bytes of a character so far; `missing` 0: it is whole, or none has begun. */
export interface PartialChar {
  readonly value: number
  readonly missing: number
  /** The least character that may be written with so many bytes. */
  readonly least: number
}

export const noChar: PartialChar = { value: 0, missing: 0, least: 0 }

/** Null: this is no UTF-8. */
export const behindByte = (char: PartialChar, byte: number): PartialChar | null =>
  char.missing === 0 ? firstByte(byte) : laterByte(char, byte)

function firstByte(byte: number): PartialChar | null {
  if (byte < 0x80) return { value: byte, missing: 0, least: 0 }
  if (byte >= 0xc2 && byte < 0xe0) return { value: byte & 0x1f, missing: 1, least: 0x80 }
  if (byte >= 0xe0 && byte < 0xf0) return { value: byte & 0x0f, missing: 2, least: 0x800 }
  if (byte >= 0xf0 && byte < 0xf5) return { value: byte & 0x07, missing: 3, least: 0x1_0000 }
  return null
}

function laterByte({ value, missing, least }: PartialChar, byte: number): PartialChar | null {
  if (byte >> 6 !== 0b10) return null
  const next = { value: (value << 6) | (byte & 0x3f), missing: missing - 1, least }
  const [from, to] = charRange(next)
  // Characters written longer than needed, beyond Unicode, or halves of a pair.
  return from > to || (from >= 0xd800 && to <= 0xdfff) ? null : next
}

/** The characters that it may become. */
export function charRange({ value, missing, least }: PartialChar): readonly [number, number] {
  const from = value * 2 ** (6 * missing)
  return [Math.max(from, least), Math.min(from + 2 ** (6 * missing) - 1, 0x10ffff)]
}
