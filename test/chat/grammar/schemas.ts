/** Random schemas, each with a value that obeys it, as the grammar orders and limits it. */
import fc from 'fast-check'

export interface Example {
  readonly schema: unknown
  readonly value: unknown
}

const word = fc.string({ minLength: 0, maxLength: 6 })
const name = fc.oneof(fc.constantFrom('a', 'ab', 'b', 'name', 'first name', 'ü', '"'), word)

const limit = fc.integer({ min: -120, max: 120 })
const integers: fc.Arbitrary<Example> = fc
  .tuple(fc.array(limit, { minLength: 3, maxLength: 3 }), fc.boolean(), fc.boolean(), fc.boolean())
  .map(([numbers, hasMin, hasMax, exclusive]) => {
    const [min = 0, value = 0, max = 0] = numbers.toSorted((a, b) => a - b)
    const step = exclusive ? 1 : 0
    return {
      value,
      schema: {
        type: 'integer',
        ...(hasMin ? { [exclusive ? 'exclusiveMinimum' : 'minimum']: min - step } : {}),
        ...(hasMax ? { [exclusive ? 'exclusiveMaximum' : 'maximum']: max + step } : {}),
      },
    }
  })
const multiples: fc.Arbitrary<Example> = fc
  .tuple(fc.integer({ min: 1, max: 13 }), fc.nat(40), fc.boolean())
  .map(([step, count, isFromZero]) => ({
    value: step * count,
    schema: { type: 'integer', multipleOf: step, ...(isFromZero ? { minimum: 0 } : {}) },
  }))
const decimal = fc.integer({ min: -30_000, max: 30_000 }).map((thousandths) => thousandths / 1000)
const numbers: fc.Arbitrary<Example> = fc
  .tuple(fc.uniqueArray(decimal, { minLength: 3, maxLength: 3 }), fc.nat(2), fc.nat(2))
  .map(([all, lowKind, highKind]) => {
    const [min = 0, value = 0, max = 0] = all.toSorted((a, b) => a - b)
    return {
      value,
      schema: {
        type: 'number',
        ...(lowKind === 1 ? { minimum: min } : lowKind === 2 ? { exclusiveMinimum: min } : {}),
        ...(highKind === 1 ? { maximum: max } : highKind === 2 ? { exclusiveMaximum: max } : {}),
      },
    }
  })
const lengths: fc.Arbitrary<Example> = fc
  .tuple(fc.string({ unit: 'grapheme', maxLength: 5 }), fc.nat(3), fc.nat(300), fc.boolean())
  .map(([value, less, more, hasMax]) => {
    const length = [...value].length
    const minLength = Math.max(0, length - less)
    return {
      value,
      schema: { type: 'string', minLength, ...(hasMax ? { maxLength: length + more } : {}) },
    }
  })
const patterns: fc.Arbitrary<Example> = fc
  .constantFrom(
    '^[a-z]{2,4}$',
    '^(\\d{3}|x+)-?$',
    '^\\w[^"\\\\]*$',
    'b+c',
    '^$|^.{1,3}$',
    '^"?\\t\\n$',
  )
  .chain((pattern) =>
    fc.stringMatching(new RegExp(pattern, 'u')).map((value) => ({
      value,
      schema: { type: 'string', pattern },
    })),
  )
const formats: fc.Arbitrary<Example> = fc.constantFrom(
  { value: '2024-02-29', schema: { type: 'string', format: 'date' } },
  { value: '2026-11-22T08:30:00Z', schema: { type: 'string', format: 'date-time' } },
  { value: '23:59:59.5+01:00', schema: { type: 'string', format: 'time' } },
  { value: '192.168.0.255', schema: { type: 'string', format: 'ipv4' } },
  { value: 'ada.l+x@mail.example.org', schema: { type: 'string', format: 'email' } },
  {
    value: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    schema: { type: 'string', format: 'uuid' },
  },
)
const listed: fc.Arbitrary<Example> = fc
  .array(fc.oneof(word, limit, fc.boolean(), fc.constant(null)), { minLength: 1, maxLength: 4 })
  .map((values) => ({ value: values.at(-1), schema: { enum: [...new Set(values)] } }))
const plain: fc.Arbitrary<Example> = fc.oneof(
  fc.boolean().map((value) => ({ value, schema: { type: 'boolean' } })),
  fc.constant({ value: null, schema: { type: 'null' } }),
  word.map((value) => ({ value, schema: { type: ['string', 'null'], description: 'text' } })),
  word.map((value) => ({ value, schema: { const: value } })),
  fc
    .jsonValue({ maxDepth: 2 })
    .filter(isExact)
    .map((value) => ({ value, schema: {} })),
)

/** Numbers with exponents or many digits are written in other ways than JavaScript does it. */
function isExact(value: unknown): boolean {
  return !/[eE][-+]?\d|\d{12}/.test(JSON.stringify(value))
}

export const examples: fc.Arbitrary<Example> = fc.letrec<{ node: Example; leaf: Example }>(
  (tie) => ({
    leaf: fc.oneof(integers, multiples, numbers, lengths, patterns, formats, listed, plain),
    node: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      tie('leaf'),
      fc
        .tuple(
          fc.uniqueArray(fc.tuple(name, tie('node'), fc.nat(2)), {
            maxLength: 4,
            selector: ([key]) => key,
          }),
          fc.constantFrom(undefined, false, true),
        )
        .map(([members, additional]) => objectOf(members, additional)),
      fc
        .tuple(tie('leaf'), fc.nat(3), fc.nat(2), fc.nat(2), fc.boolean())
        .map(([item, count, less, more, hasMax]) => ({
          value: Array.from({ length: count }, () => item.value),
          schema: {
            type: 'array',
            items: item.schema,
            minItems: Math.max(0, count - less),
            ...(hasMax ? { maxItems: count + more } : {}),
          },
        })),
      fc
        .tuple(fc.array(tie('leaf'), { minLength: 1, maxLength: 3 }), fc.boolean(), fc.nat(3))
        .map(([items, isClosed, less]) => ({
          value: items.map(({ value }) => value),
          schema: {
            type: 'array',
            prefixItems: items.map(({ schema }) => schema),
            minItems: Math.max(0, items.length - less),
            ...(isClosed ? { items: false } : {}),
          },
        })),
      fc.tuple(tie('node'), tie('leaf'), fc.boolean()).map(([a, b, first]) => ({
        value: first ? a.value : b.value,
        schema: { anyOf: [a.schema, b.schema] },
      })),
      tie('node').map(({ value, schema }) => ({
        value: { next: { next: { next: null, value }, value }, value },
        schema: {
          type: 'object',
          properties: {
            next: { anyOf: [{ $ref: '#' }, { type: 'null' }] },
            value: schema,
          },
          required: ['next', 'value'],
        },
      })),
    ),
  }),
).node

type Member = readonly [string, Example, number]

/** 0: may be there and is not; 1: may be there and is; 2: must be there. */
function objectOf(members: readonly Member[], additional: boolean | undefined): Example {
  const there = members.filter(([, , kind]) => kind > 0)
  const hasOther = additional === true && !members.some(([key]) => key === 'other')
  return {
    value: inOrder([
      ...there.map(([key, { value }]) => [key, value] as const),
      ...(hasOther ? [['other', [1]] as const] : []),
    ]),
    schema: {
      type: 'object',
      properties: inOrder(members.map(([key, { schema }]) => [key, schema])),
      required: members.filter(([, , kind]) => kind === 2).map(([key]) => key),
      ...(additional === undefined ? {} : { additionalProperties: additional }),
    },
  }
}

const inOrder = (entries: readonly (readonly [string, unknown])[]): object =>
  Object.fromEntries(entries.filter(([key]) => key !== '__proto__'))

/** Schemas of arguments: objects without references to themselves. */
export const argumentSchemas: fc.Arbitrary<unknown> = fc
  .uniqueArray(fc.tuple(name, examples, fc.nat(2)), { maxLength: 5, selector: ([key]) => key })
  .filter((members) => !JSON.stringify(members).includes('"$ref"'))
  .chain((members) =>
    fc
      .constantFrom(undefined, false, true)
      .map((additional) => objectOf(members, additional).schema),
  )
