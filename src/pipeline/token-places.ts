/** Places in a text → places among its tokens. Pure. */

const space = 0x20
const isSpace = (byte: number | undefined): boolean =>
  byte === space || byte === 0x0a || byte === 0x09 || byte === 0x0d

/**
 * How many tokens stand wholly within the first `chars` characters, for each of them. Tokenizers
 * put a space before a text, and drop spaces beside special tokens. Behind a token that is found in
 * neither way nothing is known: null.
 */
export function tokensWithin(
  text: string,
  pieces: readonly Uint8Array[],
  chars: readonly number[],
): (number | null)[] {
  const bytes = Buffer.from(text)
  const ends = endsOf(bytes, pieces)
  const byteOf = bytePlaces(text, chars)
  return chars.map((char) => {
    const place = byteOf.get(char) as number
    const count = lastWithin(ends, place)
    // All pieces end before it: either they all were found, or the place is unknown.
    return count === ends.length && count < pieces.length ? null : count
  })
}

/** The byte behind each token, as far as they are found in the text. Never falls. */
function endsOf(bytes: Buffer, pieces: readonly Uint8Array[]): number[] {
  const ends: number[] = []
  let at = 0
  for (const piece of pieces) {
    const end = endOf(bytes, at, piece)
    if (end === null) break
    at = end
    ends.push(at)
  }
  return ends
}

function endOf(bytes: Buffer, at: number, piece: Uint8Array): number | null {
  const standsAt = (from: number, skipped: number): boolean =>
    bytes.compare(piece, skipped, piece.length, from, from + piece.length - skipped) === 0
  for (let from = at; ; from += 1) {
    if (from + piece.length <= bytes.length && standsAt(from, 0)) return from + piece.length
    const isAdded = piece[0] === space && from + piece.length - 1 <= bytes.length
    if (isAdded && standsAt(from, 1)) return from + piece.length - 1
    if (!isSpace(bytes[from])) return null
  }
}

/** Bytes of the text before each of these characters, counted once from its beginning. */
function bytePlaces(text: string, chars: readonly number[]): Map<number, number> {
  const places = new Map<number, number>()
  let [char, byte] = [0, 0]
  for (const next of [...chars].sort((a, b) => a - b)) {
    // Half of a pair of surrogates has no bytes of its own.
    const whole = (text.codePointAt(next - 1) ?? 0) > 0xffff ? next - 1 : next
    byte += Buffer.byteLength(text.slice(char, whole))
    char = whole
    places.set(next, byte)
  }
  return places
}

/** How many of the rising `ends` are at most `place`. */
function lastWithin(ends: readonly number[], place: number): number {
  let [low, high] = [0, ends.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ends[middle] as number) <= place) low = middle + 1
    else high = middle
  }
  return low
}
