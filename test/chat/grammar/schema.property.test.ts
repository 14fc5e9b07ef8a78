import fc from 'fast-check'
import { Compile } from 'typebox/schema'
import { describe, expect, it } from 'vitest'
import { parseGbnf } from '../../../engines/gbnf.ts'
import { createTextWriter } from '../../support/grammar-text.ts'
import { createFollower, schemaToGbnf } from './follow.ts'
import { examples } from './schemas.ts'

const draws = fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true }))

/** The recursive example refers to the whole schema, which only the outermost one is. */
const isWhole = (schema: unknown): boolean => {
  const text = JSON.stringify(schema)
  return text.split('"$ref"').length <= 2 && (!text.includes('"$ref"') || isRecursive(schema))
}
const isRecursive = (schema: unknown): boolean =>
  JSON.stringify((schema as { properties?: { next?: unknown } }).properties?.next)?.includes(
    '"$ref":"#"',
  ) === true
const whole = examples.filter(({ schema }) => isWhole(schema))

/** As models write it: close together, with spaces, and over several lines. */
const spellings = (value: unknown): string[] => [
  JSON.stringify(value),
  withSpaces(value),
  JSON.stringify(value, null, 2),
  JSON.stringify(value, null, '\t'),
]

/** As Python's `json.dumps` writes it. */
function withSpaces(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(withSpaces).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(key)}: ${withSpaces(member)}`,
  )
  return `{${members.join(', ')}}`
}

describe('grammars of JSON schemas: property', () => {
  it('allow nothing that the schema does not', () => {
    fc.assert(
      fc.property(whole, draws, fc.nat(60), ({ schema }, stream, symbols) => {
        const write = createTextWriter(parseGbnf(schemaToGbnf(schema)), () => stream.next().value)
        const text = write(symbols)
        expect(Compile(schema as object).Check(JSON.parse(text)), text).toBe(true)
      }),
      { numRuns: 400 },
    )
  })

  it('allow what the schema allows, in the ways in which models write JSON', () => {
    fc.assert(
      fc.property(whole, ({ schema, value }) => {
        const follows = createFollower(schemaToGbnf(schema))
        for (const text of spellings(value)) expect([text, follows(text)]).toEqual([text, true])
      }),
      { numRuns: 400 },
    )
  })

  it('refuse an allowed value with a mistake in it, unless the schema allows that too', () => {
    fc.assert(
      fc.property(
        whole,
        fc.nat(),
        fc.constantFrom('', '0', '"', ',', 'x', '-', '}', ' ', '9'),
        (example, at, other) => {
          const text = JSON.stringify(example.value)
          const place = at % text.length
          const wrong = text.slice(0, place) + other + text.slice(place + 1)
          if (!createFollower(schemaToGbnf(example.schema))(wrong)) return
          expect(Compile(example.schema as object).Check(JSON.parse(wrong)), wrong).toBe(true)
        },
      ),
      { numRuns: 400 },
    )
  })
})
