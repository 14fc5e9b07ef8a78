/** JSON that is read while it is written: values as they stand, and calls written as objects. */
import type { Output } from './output.ts'
import { isSpace, NotACall, type Reading, type Source } from './source.ts'

/**
 * Hands on one value as it stands. Only what ends a value is looked at: brackets, strings, escapes.
 * Throws NotACall where no value begins.
 */
export function* readValue(source: Source, hand: (text: string) => void): Reading<void> {
  const first = yield* source.peek()
  if (first === '"') hand(yield* readRawString(source))
  else if (first === '{' || first === '[') yield* readNested(source, hand)
  else if (/[-\w]/.test(first)) hand(yield* readWord(source))
  else throw new NotACall()
}

function* readNested(source: Source, hand: (text: string) => void): Reading<void> {
  let depth = 0
  for (;;) {
    if ((yield* source.peek()) === '"') {
      hand(yield* readRawString(source))
      continue
    }
    const char = yield* source.next()
    if (char === '{' || char === '[') depth += 1
    if (char === '}' || char === ']') depth -= 1
    hand(char)
    if (depth === 0) return
  }
}

function* readRawString(source: Source): Reading<string> {
  let raw = yield* source.next()
  for (;;) {
    const char = yield* source.next()
    raw += char
    if (char === '"') return raw
    if (char === '\\') raw += yield* source.next()
  }
}

/** A number, true, false or null. */
function* readWord(source: Source): Reading<string> {
  let word = ''
  while (!(yield* source.isAtEnd()) && /[-+.\w]/.test(yield* source.peek())) {
    word += yield* source.next()
  }
  return word
}

/** A string's meaning. Models forget to escape line ends, which JSON.parse would not forgive. */
export function* readString(source: Source): Reading<string> {
  if ((yield* source.peek()) !== '"') throw new NotACall()
  const raw = yield* readRawString(source)
  try {
    return JSON.parse(raw.replaceAll('\n', '\\n').replaceAll('\t', '\\t')) as string
  } catch {
    throw new NotACall()
  }
}

export interface CallObject {
  /** Where nothing but the name says that this is a call: the names that are. */
  readonly knownNames?: ReadonlySet<string>
}

const argumentKeys = new Set(['arguments', 'parameters'])
const nameKeys = new Set(['name', 'function', 'tool_name'])

/**
 * Reads `{"name": …, "arguments": …}` in any order of keys, also inside of `"function": {…}`. The
 * call begins as soon as its name is known, or, where only the name says that it is one, with its
 * arguments. Throws NotACall while nothing has begun; afterwards what follows is taken as it is.
 */
export function* readCallObject(
  source: Source,
  output: Output,
  { knownNames }: CallObject = {},
): Reading<void> {
  const begun = output.calls()
  const has = { name: null as string | null, early: null as string | null, arguments: false }
  const begin = (): void => {
    if (output.calls() > begun || has.name === null) return
    output.call(has.name)
  }
  yield* readMembers(source, function* readMember(key): Reading<void> {
    const first = yield* source.peek()
    if (key === 'function' && first === '{') return yield* readMembers(source, readMember)
    if (nameKeys.has(key) && first === '"' && has.name === null) {
      has.name = yield* readString(source)
      if (knownNames !== undefined && !knownNames.has(has.name)) throw new NotACall()
      if (knownNames === undefined) begin()
      return
    }
    if (!argumentKeys.has(key) || has.arguments) {
      // An object that is somebody's answer seldom begins with a call's words.
      if (knownNames !== undefined && has.name === null && !['type', 'id'].includes(key)) {
        throw new NotACall()
      }
      return yield* readValue(source, () => {})
    }
    has.arguments = true
    if (has.name !== null) {
      begin()
      return yield* readArguments(source, (text) => output.arguments(text))
    }
    has.early = ''
    yield* readArguments(source, (text) => {
      has.early += text
    })
  })
  if (has.name === null || (knownNames !== undefined && !has.arguments)) throw new NotACall()
  begin()
  output.arguments(has.arguments ? (has.early ?? '') : '{}')
}

/** Some models write the object as a string, and null where there is nothing to say. */
function* readArguments(source: Source, hand: (text: string) => void): Reading<void> {
  const first = yield* source.peek()
  if (first === '"') hand(yield* readString(source))
  else if (first === 'n') {
    yield* readValue(source, () => {})
    hand('{}')
  } else yield* readValue(source, hand)
}

function* readMembers(source: Source, readMember: (key: string) => Reading<void>): Reading<void> {
  yield* source.expect('{')
  for (;;) {
    yield* source.skipSpace()
    if (yield* source.take('}')) return
    const key = yield* readString(source)
    yield* source.skipSpace()
    yield* source.expect(':')
    yield* source.skipSpace()
    yield* readMember(key)
    yield* source.skipSpace()
    if (yield* source.take(',')) continue
    if ((yield* source.peek()) !== '}') throw new NotACall()
  }
}

/** `[{…}, {…}]` or objects that follow each other, with what models write between them. */
export function* readCallObjects(
  source: Source,
  output: Output,
  options: CallObject & { readonly separators: string },
): Reading<void> {
  const begun = output.calls()
  const inList = yield* source.take('[')
  for (;;) {
    yield* source.skipSpace()
    if (inList && (yield* source.take(']'))) {
      if (output.calls() === begun) throw new NotACall()
      return
    }
    yield* readCallObject(source, output, options)
    while (!(yield* source.isAtEnd())) {
      const char = yield* source.peek()
      if (!isSpace(char) && !options.separators.includes(char)) break
      yield* source.next()
    }
    if (inList) continue
    if ((yield* source.isAtEnd()) || (yield* source.peek()) !== '{') return
  }
}
