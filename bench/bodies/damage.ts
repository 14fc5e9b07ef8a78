/** What may be wrong with a body: one value in it, a key too many, or the bytes that carry it. */
import fc from 'fast-check'
import type { Json } from './values.ts'

type Path = readonly (string | number)[]

const bombDepth = 20_000
const long = 200_000

/** JSON of arrays or objects in each other; too deep for a value, so it is put into the text. */
function bomb(open: string, close: string, depth: number): string {
  return `${open.repeat(depth)}1${close.repeat(depth)}`
}

/** Stands in a body until it is text: what JSON.stringify cannot write, or not without end. */
const mark = (text: string): string => `\u0001${Buffer.from(text).toString('base64')}\u0001`
const withMarks = (text: string): string =>
  text.replaceAll(/"\\u0001([^"\\]*)\\u0001"/g, (_, base64: string) =>
    Buffer.from(base64, 'base64').toString(),
  )

const bombs = [
  mark(bomb('[', ']', bombDepth)),
  mark(bomb('{"a":', '}', bombDepth)),
  mark(bomb('{"type":"object","properties":{"a":', '}}', bombDepth / 4)),
  mark(bomb('{"anyOf":[{},', ']}', bombDepth / 4)),
  mark(bomb('[', ']', 300)),
] as const

const wrongValues: readonly Json[] = [
  ...[null, true, false, '', [], {}, [[]], [null], [{}], { type: null }, { type: 'text' }],
  ...[0, -1, 1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 63), 1e308, 5e-324],
  ...[mark('-0'), mark('1e999'), mark('-1e999'), mark('1E400'), mark(`0.${'1'.repeat(5000)}`)],
  ...[mark('9'.repeat(5000)), mark('1e-999')],
  ...['NaN', 'Infinity', '-1', '0', 'null', 'true'],
  ...['\ud800', '\udc00x', 'a\u0000b', '\u202e', '\ufeff', '\uffff', '🤯', '%s%n', '../../etc'],
  ...['<|end|>', '<|assistant|>', '<tool_call>', '</think>', '{{ x }}', "'; --", '$&'],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty'],
  'a'.repeat(long),
  '\ud83d'.repeat(5000),
  '<|'.repeat(20_000),
  Array.from({ length: 5000 }, () => 0),
  Array.from({ length: 2000 }, () => ({})),
  ...bombs,
  // Some text is read as JSON later: arguments of calls are.
  bomb('[', ']', bombDepth),
  bomb('{"a":', '}', bombDepth),
]

const oddKeys = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then', 'toJSON'],
  ...['', ' ', '0', 'length', 'a.b', '/', '~0', '\ud800', '\u0000', 'k'.repeat(10_000), 'n'],
]

const wrongValue = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...wrongValues) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json> },
)

type Change = (value: Json, picked: Path) => Json

const replaced = wrongValue.map(
  (wrong): Change =>
    (value, path) =>
      at(value, path, () => wrong),
)
const removed = fc.constant<Change>((value, path) => without(value, path))
const extended = fc.tuple(fc.constantFrom(...oddKeys), wrongValue).map(
  ([key, wrong]): Change =>
    (value, path) =>
      at(value, path, (old) => withKey(old, key, wrong)),
)
const wrapped = fc.constantFrom<Change[]>(
  (value, path) => at(value, path, (old) => [old]),
  (value, path) => at(value, path, (old) => ({ type: 'text', text: old })),
  (value, path) => at(value, path, (old) => [old, old]),
)

/** A body with one or two changes somewhere in it, as JSON text. */
export function damagedText(bodies: fc.Arbitrary<Json>): fc.Arbitrary<string> {
  const change = fc.oneof(
    { weight: 6, arbitrary: replaced },
    { weight: 1, arbitrary: removed },
    { weight: 2, arbitrary: extended },
    { weight: 1, arbitrary: wrapped },
  )
  const changes = fc.array(fc.tuple(change, fc.nat()), { minLength: 1, maxLength: 2 })
  return fc.tuple(bodies, changes).map(([body, all]) => {
    const changed = all.reduce((value, [apply, where]) => {
      const paths = pathsOf(value)
      return apply(value, paths[where % paths.length] ?? [])
    }, body)
    return textOf(changed)
  })
}

export const textOf = (value: Json): string => withMarks(JSON.stringify(value))

function pathsOf(value: Json, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const within = Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...path, key]))
  return [path, ...within]
}

function at(value: Json, [key, ...rest]: Path, change: (old: Json) => Json): Json {
  if (key === undefined) return change(value)
  if (typeof value !== 'object' || value === null) return value
  const old = (value as Record<string, Json>)[key] ?? null
  return withKey(value, String(key), at(old, rest, change))
}

/** Also for `__proto__`, which becomes a key like any other. */
function withKey(value: Json, key: string, member: Json): Json {
  if (Array.isArray(value)) {
    return Number(key) < value.length ? value.with(Number(key), member) : [...value, member]
  }
  const known = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return Object.fromEntries([...known, [key, member]])
}

function without(value: Json, path: Path): Json {
  const [last] = path.slice(-1)
  if (last === undefined) return null
  return at(value, path.slice(0, -1), (parent) =>
    Array.isArray(parent)
      ? parent.filter((_, index) => String(index) !== last)
      : Object.fromEntries(Object.entries(parent ?? {}).filter(([key]) => key !== last)),
  )
}

const invalidBytes = [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf8, 0x88], [0xe2, 0x82], [0]]
const byteOrderMark = [0xef, 0xbb, 0xbf]

type Noise = (bytes: Buffer, from: number, to: number) => Buffer

const splice = (bytes: Buffer, from: number, to: number, ...inserted: readonly Uint8Array[]) =>
  Buffer.concat([bytes.subarray(0, from), ...inserted, bytes.subarray(to)])

const noises: readonly Noise[] = [
  (bytes, from) => splice(bytes, from, from + 1, Buffer.of((bytes[from] ?? 0) ^ (1 << (from % 8)))),
  (bytes, from) => bytes.subarray(0, from),
  (bytes, from) => bytes.subarray(from),
  (bytes, from, to) => splice(bytes, from, to),
  (bytes, from, to) => splice(bytes, to, to, bytes.subarray(from, to)),
  (bytes, from) => splice(bytes, from, from, Buffer.from(invalidBytes[from % 6] ?? [])),
  (bytes) => Buffer.from([...byteOrderMark, ...bytes]),
  (bytes) => Buffer.concat([bytes, bytes]),
  () => Buffer.alloc(0),
]

/** The same text with bytes flipped, cut, lost, doubled or invalid as UTF-8. */
export function noisyBytes(texts: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  const noise = fc.tuple(fc.constantFrom(...noises), fc.nat(), fc.nat())
  const more = fc.array(noise, { minLength: 1, maxLength: 3 })
  return fc.tuple(texts, more).map(([text, all]) =>
    all.reduce((bytes, [apply, a, b]) => {
      const [one, other] = [a % (bytes.length + 1), b % (bytes.length + 1)]
      return Buffer.from(apply(bytes, Math.min(one, other), Math.max(one, other)))
    }, Buffer.from(text)),
  )
}
