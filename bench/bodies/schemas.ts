/** JSON schemas that answers must follow: what agents write, and what nobody should. */
import fc from 'fast-check'
import type { Json } from './values.ts'

type Schemas = fc.Arbitrary<Json>

const one = (...values: Json[]): Schemas => fc.constantFrom(...values)

/** Regular expressions, some of which never were any. */
export const patterns = one(
  ...['^[a-z]{1,3}$', '\\d+', '^\\w+@\\w+\\.com$', '', '^$', '[^\\s]', '(a|b)*c', '^(?:x|y)?$'],
  ...['(a+)+$', '((a*)*)*', 'a{1000000}', 'a{9,1}', '[', '(', '[z-a]', '\\', '\\p{L}', '(?<=a)b'],
  ...['(?!a)', '\\1', '(?<n>a)\\k<n>', '.', '[\\s\\S]*', '\ud800', '\u0000', '^a|b$', '[]', '{}'],
)
const sizes = one(0, 1, 2, 3, 2, 1, 100, -1, 0.5, 1e6, 1e308)
const names = fc.constantFrom('city', 'ok', 'a b', '', '"', '\\', 'ü', 'toString')
const references = one('#', '#/$defs/it', '#/definitions/it', '#/properties/city', '#x', 'http://a')

const leaf: Schemas = fc.oneof(
  one({}, true, false, { type: 'string' }, { type: 'boolean' }, { type: 'null' }, { type: 'x' }),
  fc.record(
    {
      type: one('string', 'string', ['string', 'null']),
      pattern: patterns,
      minLength: sizes,
      maxLength: sizes,
      format: one('date', 'date-time', 'time', 'uuid', 'email', 'ipv4', 'nobody'),
    },
    { requiredKeys: ['type'] },
  ) as Schemas,
  fc.record(
    {
      type: one('integer', 'number'),
      minimum: sizes,
      maximum: sizes,
      exclusiveMinimum: sizes,
      exclusiveMaximum: one(10, true, -1),
      multipleOf: one(1, 0.1, 0, -2),
    },
    { requiredKeys: ['type'] },
  ) as Schemas,
  fc.record({ enum: fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 4 }) }) as Schemas,
  fc.record({ const: fc.jsonValue({ maxDepth: 2 }) }) as Schemas,
  fc.record({ $ref: references }) as Schemas,
)

const { schema } = fc.letrec<{ schema: Json }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    { weight: 3, arbitrary: leaf },
    {
      weight: 3,
      arbitrary: fc.record(
        {
          type: one('object'),
          properties: fc.dictionary(names, tie('schema'), { maxKeys: 3 }),
          required: fc.array(names, { maxLength: 3 }),
          additionalProperties: fc.oneof(fc.boolean(), tie('schema')),
          patternProperties: fc.dictionary(fc.constant('^x'), tie('schema'), { maxKeys: 1 }),
          minProperties: sizes,
        },
        { requiredKeys: ['type', 'properties'] },
      ) as Schemas,
    },
    {
      weight: 2,
      arbitrary: fc.record(
        {
          type: one('array'),
          items: tie('schema'),
          prefixItems: fc.array(tie('schema'), { maxLength: 2 }),
          minItems: sizes,
          maxItems: sizes,
          uniqueItems: fc.boolean(),
        },
        { requiredKeys: ['type'] },
      ) as Schemas,
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom('anyOf', 'oneOf', 'allOf'),
          fc.array(tie('schema'), { maxLength: 3 }),
        )
        .map(([key, all]): Json => ({ [key]: all })),
    },
    { weight: 1, arbitrary: fc.record({ not: tie('schema') }) as Schemas },
  ),
}))

const asked: Schemas = one(
  { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  {
    type: 'object',
    properties: { ok: { type: 'boolean' }, unit: { enum: ['c', 'f'] } },
    required: ['ok', 'unit'],
    additionalProperties: false,
  },
)

/** Half of them plain; most of the others are objects, which all dialects want. */
export const schemas: Schemas = fc.oneof(
  { weight: 4, arbitrary: asked },
  { weight: 1, arbitrary: schema },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.dictionary(names, schema, { maxKeys: 3 }), schema).map(
      ([properties, it]): Json => ({
        type: 'object',
        properties,
        required: Object.keys(properties),
        $defs: { it },
      }),
    ),
  },
)
