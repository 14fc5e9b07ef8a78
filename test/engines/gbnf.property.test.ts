import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseGbnf } from '../../engines/gbnf.ts'
import { createMatcher } from '../../engines/gbnf-matcher.ts'
import { createTextWriter } from '../support/grammar-text.ts'

/** The same language twice: as GBNF, and as a regular expression of JavaScript. */
interface Twin {
  readonly gbnf: string
  readonly regex: string
}

const letters = ['a', 'b', 'é', '€', '😀']
const letter = fc.constantFrom(...letters)
const literal = fc
  .array(letter, { minLength: 1, maxLength: 3 })
  .map((chars): Twin => ({ gbnf: `"${chars.join('')}"`, regex: `(?:${chars.join('')})` }))
const charClass = fc
  .tuple(fc.boolean(), fc.uniqueArray(letter, { minLength: 1, maxLength: 3 }))
  .map(([negated, chars]): Twin => {
    const text = `[${negated ? '^' : ''}${chars.join('')}]`
    return { gbnf: text, regex: text }
  })
const range = fc.constant<Twin>({ gbnf: '[a-cé-€]', regex: '[a-cé-€]' })
const dot = fc.constant<Twin>({ gbnf: '.', regex: '.' })

/** Only what cannot be empty may be repeated: llama.cpp refuses anything else. */
const twins = fc.letrec<{ some: Twin; any: Twin }>((tie) => ({
  some: fc.oneof(
    { maxDepth: 3 },
    literal,
    charClass,
    range,
    dot,
    fc.tuple(tie('some'), tie('any')).map(([a, b]) => join(a, b)),
    fc.tuple(tie('any'), tie('some')).map(([a, b]) => join(a, b)),
    fc.tuple(tie('some'), tie('some')).map(([a, b]) => ({
      gbnf: `(${a.gbnf} |\n ${b.gbnf})`,
      regex: `(?:${a.regex}|${b.regex})`,
    })),
  ),
  any: fc.oneof(
    tie('some'),
    fc.tuple(tie('some'), fc.constantFrom('*', '+', '?', '{2}', '{1,}', '{0,2}', '{2,3}')).map(
      ([a, times]): Twin => ({
        gbnf: `(${a.gbnf})${times}`,
        regex: `(?:${a.regex})${times}`,
      }),
    ),
  ),
}))

const join = (a: Twin, b: Twin): Twin => ({
  gbnf: `${a.gbnf} ${b.gbnf}`,
  regex: a.regex + b.regex,
})

const words = fc.array(fc.constantFrom(...letters, 'c', 'z'), { maxLength: 8 })
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Does the grammar read the text, when it comes in pieces of so many bytes? */
function reads(gbnf: string, text: string, pieceBytes: number): boolean {
  const matcher = createMatcher(parseGbnf(`root ::= ${gbnf}\n`))
  const bytes = bytesOf(text)
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    const piece = bytes.subarray(from, from + pieceBytes)
    if (!matcher.allows(piece)) return false
    matcher.accept(piece)
  }
  return matcher.isComplete
}

describe('grammars of the fake engine: property', () => {
  it('read what the same regular expression reads, however the bytes are cut', () => {
    fc.assert(
      fc.property(twins.any, words, fc.integer({ min: 1, max: 5 }), (twin, word, pieceBytes) => {
        const text = word.join('')
        const expected = new RegExp(`^(?:${twin.regex})$`, 'su').test(text)
        expect(reads(twin.gbnf, text, pieceBytes)).toBe(expected)
      }),
      { numRuns: 500 },
    )
  })

  it('read every text that they write, and the regular expression does too', () => {
    fc.assert(
      fc.property(
        twins.any,
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (twin, draws) => {
          const grammar = parseGbnf(`root ::= ${twin.gbnf}`)
          const text = createTextWriter(grammar, () => draws.next().value)(20)
          expect(text).toMatch(new RegExp(`^(?:${twin.regex})$`, 'su'))
          expect(reads(twin.gbnf, text, 1)).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('allow a byte exactly where a text goes on with it', () => {
    fc.assert(
      fc.property(twins.some, words, (twin, word) => {
        const matcher = createMatcher(parseGbnf(`root ::= ${twin.gbnf}`))
        for (const byte of bytesOf(word.join(''))) {
          const allowed = matcher.allows(Uint8Array.of(byte))
          if (allowed) matcher.accept(Uint8Array.of(byte))
          else expect(() => matcher.accept(Uint8Array.of(byte))).toThrow()
          if (!allowed) return
          // No way ends in nothing: the text is over, or something may follow.
          const follows = Array.from({ length: 256 }, (_, next) => Uint8Array.of(next))
          expect(matcher.isComplete || follows.some(matcher.allows)).toBe(true)
        }
      }),
    )
  })
})
