import { maskSource } from './mask-source.ts'

export interface FunctionLength {
  /** 1-based line of the opening brace. */
  readonly line: number
  /** Its own lines: those of functions inside count for themselves, as in a factory's closure. */
  readonly ownLines: number
}

interface OpenBrace {
  readonly line: number
  readonly isFunction: boolean
  nestedLines: number
}

const controlWords = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'await'])

/** Bodies of functions, methods and arrows, found by their braces. */
export function functionLengths(text: string): FunctionLength[] {
  const masked = maskSource(text)
  const open: OpenBrace[] = []
  const found: FunctionLength[] = []
  let boundary = 0
  let line = 1
  for (let at = 0; at < masked.length; at++) {
    const char = masked[at]
    if (char === '\n') line++
    if (char === '{') {
      open.push({ line, isFunction: opensFunction(masked.slice(boundary, at)), nestedLines: 0 })
    }
    if (char === '}') {
      const body = open.pop()
      if (body !== undefined) close(body, line, open.at(-1), found)
    }
    if (char === '{' || char === '}' || char === ';') boundary = at + 1
  }
  return found
}

/** Tells the enclosing brace how many lines are not its own. */
function close(
  body: OpenBrace,
  line: number,
  outer: OpenBrace | undefined,
  found: FunctionLength[],
): void {
  const lineCount = line - body.line + 1
  if (body.isFunction) found.push({ line: body.line, ownLines: lineCount - body.nestedLines })
  // The first line of a nested function belongs to the outer one: it may be a call around it.
  if (outer !== undefined) outer.nestedLines += body.isFunction ? lineCount - 1 : body.nestedLines
}

/** Ends with `=>`, or with a parameter list and maybe a return type. */
function opensFunction(head: string): boolean {
  if (/=>\s*$/.test(head)) return true
  const end = /\)\s*(?::[^=]*)?$/.exec(head)?.index
  if (end === undefined) return false
  let depth = 0
  for (let at = end; at >= 0; at--) {
    if (head[at] === ')') depth++
    if (head[at] === '(') depth--
    if (depth === 0) return !controlWords.has(/(\w+)\s*$/.exec(head.slice(0, at))?.[1] ?? '')
  }
  return true
}
