/**
 * Text that is read while it is still being written. Readers are generators: they read as if all of
 * it were there, and wait where it is not. So how the stream was cut cannot change what they find.
 */

/** Waits for more text at each `yield`. */
export type Reading<T> = Generator<undefined, T, undefined>

/** Thrown by a reader that needs more than the answer has. */
export class CutOff extends Error {}

/** The text is not what the family writes; the reader's caller takes it for text. */
export class NotACall extends Error {}

/** So much of a marker at an answer's end is a marker that was cut off; less is text. */
const cutMarkerLength = 4

export interface Source {
  /** Adds what came. */
  feed(text: string): void
  /** Nothing comes any more. */
  finish(): void
  /** A place to go back to. */
  mark(): number
  back(mark: number): void
  /** Text from a place to here. */
  since(mark: number): string
  /** Frees what no reader will go back to. */
  forget(): void
  isAtEnd(): Reading<boolean>
  /** The next character, which stays; throws CutOff. */
  peek(): Reading<string>
  /** The next character; throws CutOff. */
  next(): Reading<string>
  /** Takes the literal when it comes next; throws CutOff inside of it. */
  take(literal: string): Reading<boolean>
  /** Takes the literal; throws CutOff at the end, and NotACall where something else stands. */
  expect(literal: string): Reading<void>
  /** Takes characters as long as they fit; throws CutOff. */
  word(fits: RegExp): Reading<string>
  skipSpace(): Reading<void>
  /**
   * Hands text on until one of the markers, which is taken and returned; null at the end. What may
   * be the beginning of a marker is held back until it is known.
   */
  until(markers: readonly string[], hand: (text: string) => void): Reading<string | null>
  /** The text up to one of the markers, and the marker, which is taken; throws CutOff. */
  upTo(markers: readonly string[]): Reading<{ text: string; marker: string }>
  /** Hands it on as it comes; what may begin a marker is not handed on at the end. */
  inside(markers: readonly string[], hand: (text: string) => void): Reading<string>
}

export function createSource(): Source {
  let buffer = ''
  let at = 0
  /** How many characters came before the buffer's first. */
  let base = 0
  let finished = false

  function* has(count: number): Reading<boolean> {
    while (buffer.length - at < count) {
      if (finished) return false
      yield
    }
    return true
  }

  /** `textAtEnd`: how much of what was held back is text when nothing comes any more. */
  function* find(
    markers: readonly string[],
    hand: (text: string) => void,
    textAtEnd: (heldLength: number) => number,
  ): Reading<string | null> {
    for (;;) {
      const rest = buffer.slice(at)
      const found = firstMarker(rest, markers)
      const held = found === null ? heldLength(rest, markers) : 0
      const end = found?.at ?? rest.length - held + (finished ? textAtEnd(held) : 0)
      // Whoever takes it asks where it ends.
      at += end
      if (end > 0) hand(rest.slice(0, end))
      if (finished && found === null) at += rest.length - end
      if (found !== null) at += found.marker.length
      if (found !== null || finished) return found?.marker ?? null
      yield
    }
  }

  const source: Source = {
    feed(text) {
      buffer += text
    },
    finish() {
      finished = true
    },
    mark: () => base + at,
    back(mark) {
      at = mark - base
    },
    since: (mark) => buffer.slice(mark - base, at),
    forget() {
      buffer = buffer.slice(at)
      base += at
      at = 0
    },
    *isAtEnd() {
      return !(yield* has(1))
    },
    *peek() {
      if (!(yield* has(1))) throw new CutOff()
      return buffer.charAt(at)
    },
    *next() {
      const char = yield* source.peek()
      at += 1
      return char
    },
    *take(literal) {
      for (let length = 1; length <= literal.length; length += 1) {
        if (!(yield* has(length))) {
          if (length > 1) throw new CutOff()
          return false
        }
        if (buffer[at + length - 1] !== literal[length - 1]) return false
      }
      at += literal.length
      return true
    },
    *expect(literal) {
      yield* source.peek()
      if (!(yield* source.take(literal))) throw new NotACall()
    },
    *word(fits) {
      let word = ''
      while (fits.test(yield* source.peek())) word += yield* source.next()
      return word
    },
    *skipSpace() {
      while ((yield* has(1)) && isSpace(buffer.charAt(at))) at += 1
    },
    *upTo(markers) {
      let text = ''
      const marker = yield* source.inside(markers, (piece) => {
        text += piece
      })
      return { text, marker }
    },
    *inside(markers, hand) {
      const marker = yield* find(markers, hand, () => 0)
      if (marker === null) throw new CutOff()
      return marker
    },
    *until(markers, hand) {
      return yield* find(markers, hand, (held) => (held < cutMarkerLength ? held : 0))
    },
  }
  return source
}

export const isSpace = (char: string): boolean => /\s/.test(char)

/** The earliest marker; of two at one place the longer one. */
function firstMarker(text: string, markers: readonly string[]) {
  let first: { at: number; marker: string } | null = null
  for (const marker of markers) {
    const at = text.indexOf(marker)
    if (at < 0 || (first !== null && at > first.at)) continue
    if (first === null || at < first.at || marker.length > first.marker.length) {
      first = { at, marker }
    }
  }
  return first
}

/** Length of the longest end of `text` that begins a marker. */
function heldLength(text: string, markers: readonly string[]): number {
  const longest = Math.max(0, ...markers.map((marker) => marker.length - 1))
  for (let length = Math.min(longest, text.length); length > 0; length -= 1) {
    const end = text.slice(-length)
    if (markers.some((marker) => marker.length > length && marker.startsWith(end))) return length
  }
  return 0
}
