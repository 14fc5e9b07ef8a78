import { describe, expect, it } from 'vitest'
import { PrefixdError } from '../../../src/errors.ts'
import { createFollower, schemaToGbnf } from './follow.ts'

/** Values that the schema's grammar takes, and values that it does not. */
function holds(schema: unknown, taken: readonly unknown[], refused: readonly unknown[]): void {
  const follows = createFollower(schemaToGbnf(schema))
  const verdicts = [...taken, ...refused].map((value) => [value, follows(JSON.stringify(value))])
  expect(verdicts).toEqual([
    ...taken.map((value) => [value, true]),
    ...refused.map((value) => [value, false]),
  ])
}

function refusal(schema: unknown): { field: string | null; message: string } {
  try {
    schemaToGbnf(schema)
  } catch (error) {
    if (error instanceof PrefixdError && error.code === 'PREFIXD_E_SCHEMA') return error
    throw error
  }
  throw new Error('it was taken')
}

describe('schemas that are put together', () => {
  const person = {
    type: 'object',
    properties: {
      name: { type: 'string' },
      friends: { type: 'array', items: { $ref: '#/$defs/p' } },
    },
    required: ['name'],
  }

  it('follow references, in old and new words, also into themselves', () => {
    const ada = { name: 'Ada', friends: [{ name: 'Bob', friends: [{ name: 'C' }] }] }
    holds({ $ref: '#/$defs/p', $defs: { p: person } }, [ada], [{ friends: [] }, { name: 1 }])
    const old = { items: { $ref: '#/definitions/a~1b' }, definitions: { 'a/b': { type: 'null' } } }
    holds({ type: 'array', ...old }, [[null]], [[1]])
  })

  it('are all of allOf, with what stands beside it', () => {
    const named = { properties: { name: { type: 'string' } }, required: ['name'] }
    const aged = { properties: { age: { type: 'number', minimum: 0 } }, required: ['age'] }
    const both = { type: 'object', allOf: [named, aged], properties: { age: { type: 'integer' } } }
    holds(
      both,
      [{ age: 3, name: 'x' }],
      [{ name: 'x' }, { age: -1, name: 'x' }, { age: 0.5, name: '' }],
    )
    const recursive = {
      $defs: {
        tree: {
          type: 'object',
          properties: { kids: { type: 'array', items: { $ref: '#/$defs/small' } } },
        },
        small: { allOf: [{ $ref: '#/$defs/tree' }], properties: { kids: { maxItems: 1 } } },
      },
      $ref: '#/$defs/small',
    }
    holds(
      recursive,
      [{ kids: [{ kids: [] }] }],
      [{ kids: [{}, {}] }, { kids: [{ kids: [{}, {}] }] }],
    )
  })

  it('are one of anyOf, each with what stands beside it', () => {
    const schema = {
      type: 'object',
      properties: { id: { type: 'integer' } },
      required: ['id'],
      anyOf: [
        { properties: { a: { const: 1 } }, required: ['a'] },
        { properties: { b: { const: 2 } }, required: ['b'] },
      ],
    }
    holds(
      schema,
      [
        { id: 1, a: 1 },
        { id: 1, b: 2 },
      ],
      [{ id: 1 }, { a: 1 }, { id: 1, a: 1, b: 2 }],
    )
  })

  it('are exactly one of oneOf, where that can be seen', () => {
    const tagged = (kind: string, more: object) => ({
      type: 'object',
      properties: { kind: { const: kind }, ...more },
      required: ['kind'],
    })
    const union = { oneOf: [tagged('a', { x: { type: 'number' } }), tagged('b', {})] }
    holds(union, [{ kind: 'a', x: 1 }, { kind: 'b' }], [{ kind: 'c' }, { x: 1 }])
    holds(
      { oneOf: [{ type: 'integer' }, { type: 'string' }, { enum: [null] }] },
      [1, '', null],
      [true],
    )
    const apart = [
      { type: 'object', properties: { a: {} }, required: ['a'] },
      { type: 'object', properties: { b: {} }, required: ['b'] },
    ]
    holds({ oneOf: apart }, [{ a: 1 }, { b: 1 }], [{ a: 1, b: 1 }])
  })

  it('keep null, lists of types and booleans as schemas', () => {
    holds({ type: 'string', nullable: true }, ['', null], [1])
    holds({ type: ['integer', 'boolean'], minimum: 3 }, [3, true], [2, null])
    const closed = { type: 'object', properties: { a: true, b: false } }
    holds(closed, [{}, { a: [null] }], [{ b: 1 }, { c: 1 }])
    holds({ enum: ['a', 1, null], type: ['string', 'null'] }, ['a', null], [1])
  })
})

describe('objects and arrays', () => {
  it('have their properties in the order of the schema', () => {
    const properties = { b: { const: 1 }, a: { const: 2 }, c: { const: 3 } }
    const schema = { type: 'object', properties, required: ['a'] }
    holds(
      schema,
      [{ b: 1, a: 2, c: 3 }, { a: 2 }, { a: 2, c: 3 }],
      [{ a: 2, b: 1 }, { b: 1 }, { c: 3 }],
    )
  })

  it('have no other properties unless these are spoken of, or none are listed', () => {
    const listed = { type: 'object', properties: { ab: {} } }
    holds(listed, [{ ab: 1 }], [{ other: 1 }])
    const open = { ...listed, additionalProperties: { type: 'integer' } }
    holds(open, [{ ab: '', abc: 1, a: 2, '': 3 }, { b: 1 }], [{ a: '' }, { ab: 1, b: '' }])
    holds({ type: 'object' }, [{}, { any: [{ thing: null }] }], [[]])
    const undescribed = { type: 'object', required: ['x'], additionalProperties: { type: 'null' } }
    holds(undescribed, [{ x: null }, { x: null, y: null }], [{}, { x: 1 }])
  })

  it('may have names of a kind', () => {
    const byDay = {
      type: 'object',
      propertyNames: { pattern: '^d[0-9]$' },
      additionalProperties: { type: 'null' },
    }
    holds(byDay, [{}, { d1: null, d2: null }], [{ e1: null }, { d1: 1 }])
    holds(
      { ...byDay, minProperties: 1, maxProperties: 2 },
      [{ d1: null }],
      [{}, { d1: null, d2: null, d3: null }],
    )
    holds({ type: 'object', propertyNames: { type: 'string' } }, [{ '': 1 }], [1])
  })

  it('have as many items as they may', () => {
    const three = { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 3 }
    holds(three, [[1], [1, 2, 3]], [[], [1, 2, 3, 4], ['']])
    const pair = { prefixItems: [{ type: 'string' }, { type: 'number' }], items: { type: 'null' } }
    holds(pair, [[], ['a'], ['a', 1], ['a', 1, null]], [[1], ['a', 1, 1]])
    const old = { items: [{ type: 'string' }], additionalItems: false, minItems: 1 }
    holds(old, [['a']], [[], ['a', 'b']])
    holds({ type: 'array', items: false }, [[]], [[1]])
  })

  it('indent as models do, and no further', () => {
    const follows = createFollower(schemaToGbnf({ type: 'array', items: { const: 1 } }))
    expect(follows('[\n  1,\n  1\n]')).toBe(true)
    expect(follows('[ 1, 1 ]')).toBe(true)
    expect(follows('[\n\n1]')).toBe(false)
    expect(follows(`[\n${' '.repeat(41)}1]`)).toBe(false)
    expect(follows(' [1]')).toBe(false)
  })
})

describe('numbers and texts', () => {
  it('keep to limits beyond what doubles show', () => {
    holds({ type: 'integer', minimum: 10, exclusiveMaximum: 1000 }, [10, 99, 999], [9, 1000, -10])
    holds({ type: 'integer', minimum: 3, maximum: 1e300 }, [3, 999999999999999], [2])
    holds({ type: 'integer', exclusiveMinimum: -1, maximum: 1 }, [0, 1], [-1, 2])
    holds({ type: 'number', minimum: 0.1, maximum: 1e2 }, [0.1, 0.11, 99.5, 100], [0.09, 0, 100.01])
    holds({ type: 'number', exclusiveMinimum: -0.5, maximum: 0 }, [-0.4999, 0], [-0.5, 0.1, -1])
    holds({ type: 'number', multipleOf: 0.01 }, [1, 1.5, -1.25], [1.255])
    holds({ type: 'number', multipleOf: 2.0 }, [4, -2, 0], [3, 0.5])
    holds({ type: 'integer', minimum: 0, maximum: 100, multipleOf: 25 }, [0, 25, 100], [5, 125])
    holds({ minimum: 5, exclusiveMinimum: true }, [5.5, 6], [5])
  })

  it('match a pattern anywhere unless it is anchored', () => {
    holds({ pattern: 'b.d' }, ['bad', 'abcde'], ['bd', 'b\nd'])
    holds({ pattern: '^a|b$' }, ['ax', 'xb', 'a'], ['xax'])
    holds({ pattern: '^(?:a?b?)*$' }, ['', 'ab', 'bbaa'], ['c'])
    holds({ pattern: '^[^\\W\\d_]+\\u0041\\x42\\/$' }, ['zAB/'], ['1AB/'])
    holds({ pattern: '^"\\n\\\\$' }, ['"\n\\'], ['"'])
    holds({ pattern: '^(?<year>\\d{4})-\\d{2}?$' }, ['2026-11'], ['2026-1'])
    holds({ pattern: '^[a-c]{2,}$', minLength: 1 }, ['ab', 'abcabc'], ['a'])
  })

  it('have formats that are written out, and others that only describe', () => {
    holds(
      { type: 'string', format: 'date' },
      ['2024-02-29', '1900-01-31'],
      ['1900-02-29', '2024-04-31'],
    )
    holds({ type: 'string', format: 'uri' }, ['anything'], [])
    const zod = { type: 'string', format: 'email', pattern: '^(?!\\.)[a-z.]+@x\\.de$' }
    holds(zod, ['ada@x.de'], ['ada', '.a@x.de'])
  })
})

describe('what no grammar can hold a model to', () => {
  const inAge = (age: unknown) => ({ type: 'object', properties: { 'my age': age } })
  const place = 'schema.properties["my age"]'

  it.each([
    [{ not: {} }, `${place}.not`, /no grammar/],
    [{ if: {}, else: {} }, `${place}.if`, /no grammar/],
    [{ patternProperties: { a: {} } }, `${place}.patternProperties`, /no grammar/],
    [{ contains: {} }, `${place}.contains`, /no grammar/],
    [{ type: 'array', uniqueItems: true }, `${place}.uniqueItems`, /does not remember/],
    [{ type: 'object', minProperties: 2 }, `${place}.minProperties`, /counts/],
    [{ type: 'integer', multipleOf: 0.3 }, `${place}.multipleOf`, /0\.3/],
    [{ type: 'integer', multipleOf: 1000, minimum: 5 }, `${place}.multipleOf`, /1000/],
    [{ pattern: '(?=a)b' }, `${place}.pattern`, /looks ahead.*character 3/],
    [{ pattern: '(?<!a)b' }, `${place}.pattern`, /looks behind/],
    [{ pattern: '(a)\\1' }, `${place}.pattern`, /refers back/],
    [{ pattern: '\\bword' }, `${place}.pattern`, /word boundaries/],
    [{ pattern: '\\p{L}' }, `${place}.pattern`, /Unicode property/],
    [{ pattern: 'a(b$)c' }, `${place}.pattern`, /anchor in the middle/],
    [{ pattern: '(a' }, `${place}.pattern`, /not closed/],
    [{ pattern: '+a' }, `${place}.pattern`, /repeats nothing/],
    [{ pattern: 'a+', maxLength: 5 }, `${place}.maxLength`, /beside this/],
    [{ enum: ['a'], type: 'string', pattern: 'a' }, `${place}.pattern`, /beside `enum`/],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, `${place}.oneOf[1]`, /exactly one/],
    [{ $ref: 'https://example.org/a' }, `${place}.$ref`, /inside of the schema/],
    [{ $ref: '#/$defs/gone' }, `${place}.$ref`, /not there/],
    [{ allOf: [{ pattern: 'a' }, { pattern: 'b' }] }, `${place}.allOf[1].pattern`, /one of them/],
  ])('%j names %s', (age, field, message) => {
    const error = refusal(inAge(age))
    expect(error.field).toBe(field)
    expect(error.message).toMatch(message)
  })

  it.each([
    [{ type: 'text' }, 'type', /"object"/],
    [{ type: ['string', 'text'] }, 'type[1]', /"object"/],
    [{ enum: [] }, 'enum', /at least one/],
    [{ required: 'a' }, 'required', /array of names/],
    [{ properties: [] }, 'properties', /an object/],
    [{ properties: { a: 1 } }, 'properties.a', /must be a schema/],
    [{ items: 1 }, 'items', /must be a schema/],
    [{ anyOf: [] }, 'anyOf', /at least one/],
    [{ minLength: -1 }, 'minLength', /whole number/],
    [{ minimum: '1' }, 'minimum', /a number/],
    [{ multipleOf: 0 }, 'multipleOf', /above 0/],
    [{ pattern: 1 }, 'pattern', /a string/],
  ])('%j is no schema: %s', (schema, word, message) => {
    const error = refusal({ type: 'array', items: schema })
    expect(error.field).toBe(`schema.items.${word}`)
    expect(error.message).toMatch(message)
  })

  it('is a schema that nothing fits, or that never ends', () => {
    const nothing = { type: 'object', properties: { a: false }, required: ['a'] }
    const contradiction = { allOf: [{ type: 'string' }, { type: 'number' }] }
    for (const schema of [nothing, contradiction, false, { minimum: 2, maximum: 1 }]) {
      expect(refusal(schema).message).toMatch(/fits no value/)
    }
    expect(refusal({ $ref: '#' }).message).toMatch(/refers to itself without end/)
    expect(refusal({ anyOf: [{ type: 'null' }, { $ref: '#' }] }).message).toMatch(/without end/)
    expect(refusal({ allOf: [{ $ref: '#' }] }).message).toMatch(/without end/)
  })

  it('is a schema beyond the limits', () => {
    const deep = JSON.parse(`${'{"items":'.repeat(200)}{}${'}'.repeat(200)}`) as unknown
    expect(refusal(deep).message).toMatch(/deeper than 100/)
    const wide = { enum: Array.from({ length: 30_000 }, (_, index) => [index]) }
    expect(refusal(wide).message).toMatch(/more than 20000 objects/)
    expect(refusal({ enum: ['x'.repeat(2_000_000), 'y'] }).message).toMatch(/grammar of more than/)
    expect(refusal({ type: 'array', maxItems: 1e6 }).message).toMatch(/100000 repetitions/)
    expect(refusal({ type: 'number', minimum: 1e-300 }).message).toMatch(/too many digits/)
    const tag = (index: number) => ({
      type: 'object',
      properties: { k: { oneOf: Array.from({ length: 60 }, (_, at) => ({ const: [index, at] })) } },
      required: ['k'],
    })
    const unions = { oneOf: Array.from({ length: 100 }, (_, index) => tag(index)) }
    expect(refusal(unions).message).toMatch(/too many alternatives to compare/)
    expect(refusal({ pattern: 'a'.repeat(10_000) }).field).toBe('schema.pattern')
  })

  it('does not take exponential time over patterns that nest what may be empty', () => {
    const nested = (depth: number): string => `^${'(a?('.repeat(depth)}b?${')*)'.repeat(depth)}$`
    holds({ pattern: nested(4) }, ['', 'aabab'], ['c'])
    expect(schemaToGbnf({ pattern: nested(48) }).length).toBeLessThan(20_000)
  })
})
