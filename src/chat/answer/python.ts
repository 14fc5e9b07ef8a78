/** Calls as Python writes them: `[name(key="text", n=1), …]`, with Python's or JSON's literals. */
import type { Output } from './output.ts'
import { isSpace, NotACall, type Reading, type Source } from './source.ts'
import { writeArguments } from './typed-arguments.ts'

const words: Readonly<Record<string, string>> = {
  True: 'true',
  False: 'false',
  None: 'null',
  true: 'true',
  false: 'false',
  null: 'null',
}
const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' }

/** `[f(…), g(…)]`, or one call without the brackets. */
export function* readPythonCalls(source: Source, output: Output): Reading<void> {
  const begun = output.calls()
  const inList = yield* source.take('[')
  for (;;) {
    yield* source.skipSpace()
    if (inList && (yield* source.take(']'))) {
      if (output.calls() === begun) throw new NotACall()
      return
    }
    yield* readPythonCall(source, output)
    if (!inList) return
    yield* source.skipSpace()
    yield* source.take(',')
  }
}

export function* readPythonCall(source: Source, output: Output): Reading<void> {
  const name = yield* source.word(/[\w.-]/)
  if (name === '') throw new NotACall()
  yield* source.expect('(')
  output.call(name)
  const writer = writeArguments(output)
  for (;;) {
    yield* source.skipSpace()
    if (yield* source.take(')')) break
    const key = yield* source.word(/[\w.-]/)
    yield* source.skipSpace()
    if (key === '') throw new NotACall()
    yield* source.expect('=')
    yield* source.skipSpace()
    writer.add(key, yield* readPythonValue(source))
    yield* source.skipSpace()
    yield* source.take(',')
  }
  writer.end()
}

/** A literal as JSON. */
function* readPythonValue(source: Source): Reading<string> {
  const first = yield* source.peek()
  if (first === '"' || first === "'") return JSON.stringify(yield* readPythonString(source))
  if (first === '[' || first === '(') return yield* readList(source)
  if (first === '{') return yield* readDictionary(source)
  const word = yield* source.word(/[-+.\w]/)
  if (Object.hasOwn(words, word)) return words[word] ?? 'null'
  if (/^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(word)) return word
  throw new NotACall()
}

/** Templates write text between quotes without escaping it: a quote ends it before a delimiter. */
function* readPythonString(source: Source): Reading<string> {
  const quote = yield* source.next()
  let text = ''
  for (;;) {
    const char = yield* source.next()
    if (char === '\\') {
      const escaped = yield* source.next()
      text += escapes[escaped] ?? ('\\\'"'.includes(escaped) ? escaped : `\\${escaped}`)
      continue
    }
    if (char !== quote) {
      text += char
      continue
    }
    if (/[\s,)\]}:]/.test(yield* source.peek())) return text
    text += char
  }
}

function* readList(source: Source): Reading<string> {
  const close = (yield* source.next()) === '[' ? ']' : ')'
  const items: string[] = []
  for (;;) {
    yield* skipSeparators(source)
    if (yield* source.take(close)) return `[${items.join(', ')}]`
    items.push(yield* readPythonValue(source))
  }
}

function* readDictionary(source: Source): Reading<string> {
  yield* source.next()
  const members: string[] = []
  for (;;) {
    yield* skipSeparators(source)
    if (yield* source.take('}')) return `{${members.join(', ')}}`
    const key = yield* readPythonValue(source)
    yield* source.skipSpace()
    yield* source.expect(':')
    yield* source.skipSpace()
    members.push(`${key}: ${yield* readPythonValue(source)}`)
  }
}

function* skipSeparators(source: Source): Reading<void> {
  for (;;) {
    const char = yield* source.peek()
    if (char !== ',' && !isSpace(char)) return
    yield* source.next()
  }
}
