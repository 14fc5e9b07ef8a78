import fc from 'fast-check'
import { expect, it } from 'vitest'
import { heldVocabulary, holdTokens } from '../../engines/held-tokens.ts'

const texts = [
  '',
  'a',
  'ab',
  'aba',
  'b',
  'ba',
  '(',
  ')',
  '()',
  '((',
  '")',
  '", "',
  '"',
  ',',
  'é',
  '🚣',
]
const pieces: Uint8Array[] = [
  ...texts.map((text) => Buffer.from(text)),
  // Parts of characters, alone and behind a whole one.
  ...[[0xc3], [0xa9], [0x61, 0xc3], [0xa9, 0x61], [0xf0, 0x9f], [0x9a, 0xa3], [0xff], [0]].map(
    (it) => Uint8Array.from(it),
  ),
  Buffer.from('ab'),
]
const end = pieces.length
const vocabulary = heldVocabulary(
  end + 2,
  (token) => pieces[token] ?? new Uint8Array(0),
  (token) => token >= end,
)

const grammars = [
  'root ::= ("a" | "b")* "!"?',
  'root ::= "(" root ")" | "a"',
  'root ::= ["] [^"]{0,5} ["] ("," " "? ["] [^"]* ["])*',
  'root ::= [é🚣a]+ [^a]',
  'root ::= ("a"? "b"?){9}',
]

it.each(grammars)('finds by its tree the same tokens of %j as one by one', (grammar) => {
  const property = fc.property(fc.array(fc.nat(), { maxLength: 12 }), (choices) => {
    const held = holdTokens(grammar, vocabulary)
    for (const choice of choices) {
      const allowed = [...held.allowed()].sort((a, b) => a - b)
      const all = Array.from({ length: end + 2 }, (_, token) => token)
      expect(allowed).toEqual(all.filter((token) => held.allows(token)))
      const taken = allowed[choice % allowed.length]
      if (taken === undefined) return
      held.accept(taken)
    }
  })
  fc.assert(property, { numRuns: 60 })
})

it('allows every end where the text may end, and none elsewhere', () => {
  const held = holdTokens('root ::= "a" "b"?', vocabulary)
  const ends = () => [...held.allowed()].filter((token) => token >= end)
  expect(ends()).toEqual([])
  held.accept(texts.indexOf('a'))
  expect(ends()).toEqual([end, end + 1])
})

it('allows no token without text', () => {
  expect(holdTokens('root ::= [ab]*', vocabulary).allows(0)).toBe(false)
})

it('does not go on behind a token that is not allowed', () => {
  const held = holdTokens('root ::= "a"', vocabulary)
  const wrong = () => held.accept(texts.indexOf('b'))
  expect(wrong).toThrow(expect.objectContaining({ code: 'PREFIXD_E_ENGINE_GRAMMAR' }))
})
