/**
 * The source with the insides of comments, strings and regular expressions replaced by spaces, so
 * that patterns find code only. Same length and same line breaks; quotes stay, and so does the code
 * inside `${…}`. TypeScript 7 has no compiler API in JavaScript, and these rules need no tree.
 */
export function maskSource(text: string): string {
  const out = text.split('')
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== '\n') out[i] = ' '
  }
  /** Depth of braces inside each open template expression. */
  const templates: number[] = []
  let at = 0
  while (at < text.length) {
    const char = text[at]
    const pair = text.slice(at, at + 2)
    let end = at + 1
    if (pair === '//') {
      end = endOf(text, at, '\n')
      blank(at, end)
    } else if (pair === '/*') {
      end = endOf(text, at + 2, '*/') + 2
      blank(at, end)
    } else if (char === "'" || char === '"') {
      end = endOfQuoted(text, at, char)
      blank(at + 1, end - 1)
    } else if (char === '/' && startsRegExp(out, at)) {
      end = endOfRegExp(text, at)
      blank(at + 1, end - 1)
    } else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      if (char === '}') templates.pop()
      end = endOfTemplatePart(text, at)
      const hasExpression = text[end - 1] === '{'
      if (hasExpression) templates.push(0)
      blank(at + 1, end - (hasExpression ? 2 : 1))
    } else if (templates.length > 0 && (char === '{' || char === '}')) {
      templates.push((templates.pop() ?? 0) + (char === '{' ? 1 : -1))
    }
    at = end
  }
  return out.join('')
}

function endOf(text: string, from: number, what: string): number {
  const found = text.indexOf(what, from)
  return found === -1 ? text.length : found
}

/** One past the closing quote, or the end of the line where there is none. */
function endOfQuoted(text: string, start: number, quote: string): number {
  let at = start + 1
  while (at < text.length && text[at] !== quote && text[at] !== '\n') {
    at += text[at] === '\\' ? 2 : 1
  }
  return at + 1
}

/** One past the closing backtick, or one past the `{` of the next expression. */
function endOfTemplatePart(text: string, start: number): number {
  let at = start + 1
  while (at < text.length) {
    if (text[at] === '`') return at + 1
    if (text.startsWith('${', at)) return at + 2
    at += text[at] === '\\' ? 2 : 1
  }
  return text.length
}

function endOfRegExp(text: string, start: number): number {
  let at = start + 1
  let inClass = false
  while (at < text.length && text[at] !== '\n') {
    if (text[at] === '[') inClass = true
    if (text[at] === ']') inClass = false
    if (text[at] === '/' && !inClass) return at + 1
    at += text[at] === '\\' ? 2 : 1
  }
  return at
}

/** A slash divides after a value and starts a regular expression everywhere else. */
function startsRegExp(masked: readonly string[], at: number): boolean {
  let before = at - 1
  while (before >= 0 && /\s/.test(masked[before] ?? '')) before--
  if (before < 0) return true
  const char = masked[before] ?? ''
  if (!/[\w$)\]'"`}]/.test(char)) return true
  const word = /[a-z]+$/.exec(masked.slice(Math.max(0, before - 10), before + 1).join(''))?.[0]
  return word !== undefined && ['return', 'typeof', 'case', 'in', 'of', 'await'].includes(word)
}
