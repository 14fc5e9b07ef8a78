/**
 * Text that is about to reach a terminal. Names, paths, previews and messages of other programs
 * are untrusted: a prompt must not be able to move the cursor, recolour the screen or reverse
 * the direction of writing.
 */

// Controls (C0, DEL, C1), line and paragraph separators, bidirectional controls, and the
// invisible characters that make two different names look equal.
const unprintable =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** One line of harmless text: everything that a terminal would obey is written out. */
export function printable(text: string): string {
  return text.toWellFormed().replace(unprintable, (character) => {
    const code = character.charCodeAt(0)
    const hex = code.toString(16)
    const escaped = code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`
    return named[character] ?? escaped
  })
}

/** Like `printable`, for a message of several lines. */
export function printableLines(text: string): string[] {
  return text.split(/\r?\n/).map(printable)
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
// East Asian wide and fullwidth characters, and emoji.
const wide = new RegExp(
  '\\p{Emoji_Presentation}|[\\u1100-\\u115f\\u2e80-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff' +
    '\\ufe30-\\ufe6f\\uff00-\\uff60\\uffe0-\\uffe6]|[\\u{20000}-\\u{3fffd}]',
  'u',
)

/** Terminal cells that printable text takes. */
export function cellCount(text: string): number {
  let cells = 0
  for (const { segment } of graphemes.segment(text)) cells += wide.test(segment) ? 2 : 1
  return cells
}

/** Cuts in the middle, where file names differ least, so that the text takes at most `cells`. */
export function shorten(text: string, cells: number): string {
  if (cellCount(text) <= cells) return text
  const parts = Array.from(graphemes.segment(text), ({ segment }) => segment)
  const ahead = take(parts, Math.ceil((cells - 1) / 2))
  const behind = take(parts.toReversed(), cells - 1 - cellCount(ahead.join(''))).toReversed()
  return `${ahead.join('')}…${behind.join('')}`
}

function take(parts: readonly string[], cells: number): string[] {
  const taken: string[] = []
  let used = 0
  for (const part of parts) {
    used += cellCount(part)
    if (used > cells) break
    taken.push(part)
  }
  return taken
}

/** Pads to `cells`; longer text stays as it is. */
export function pad(text: string, cells: number, align: 'left' | 'right'): string {
  const padding = ' '.repeat(Math.max(0, cells - cellCount(text)))
  return align === 'left' ? text + padding : padding + text
}

/** Breaks at spaces; a longer word stays whole. */
export function wrap(text: string, cells: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (cellCount(longer) > cells && line !== '') {
      lines.push(line)
      line = word
    } else {
      line = longer
    }
  }
  return [...lines, line]
}
