import fc from 'fast-check'
import { expect, test } from 'vitest'
import { tokensWithin } from '../../src/pipeline/token-places.ts'

const words = fc.array(fc.stringMatching(/^[ \na-z<>äß€😀]{1,6}$/u), { maxLength: 30 })
const bytesOf = (text: string): Uint8Array => Buffer.from(text)

/** Every token ends where a character does, so the text itself tells what is right. */
function expected(pieces: readonly string[], chars: number): number {
  let length = 0
  const count = pieces.findIndex((piece) => {
    length += piece.length
    return length > chars
  })
  return count < 0 ? pieces.length : count
}

test('a place has as many tokens before it as end there or earlier', () => {
  fc.assert(
    fc.property(words, fc.array(fc.nat(120), { maxLength: 5 }), (pieces, wanted) => {
      const text = pieces.join('')
      const chars = wanted.map((char) => Math.min(char, text.length))
      const found = tokensWithin(text, pieces.map(bytesOf), chars)
      expect(found).toEqual(chars.map((char) => expected(pieces, char)))
    }),
  )
})

test('characters of several tokens count when they are whole', () => {
  const [first, second] = [Buffer.from('€').subarray(0, 2), Buffer.from('€').subarray(2)]
  expect(tokensWithin('a€b', [bytesOf('a'), first, second, bytesOf('b')], [1, 2, 3])).toEqual([
    1, 3, 4,
  ])
})

test('spaces that a tokenizer adds or drops move nothing', () => {
  // SentencePiece begins with a space; Phi's tokens strip what follows them.
  expect(tokensWithin('Hi you', [' Hi', ' you'].map(bytesOf), [2, 6])).toEqual([1, 2])
  const stripped = ['<|end|>', '<|user|>', 'Hi'].map(bytesOf)
  expect(tokensWithin('<|end|>\n<|user|>\nHi', stripped, [8, 17, 19])).toEqual([1, 2, 3])
})

test('behind a token that the text does not have nothing is known', () => {
  const pieces = ['one ', '<unk>', ' two'].map(bytesOf)
  expect(tokensWithin('one 你 two', pieces, [4, 5, 9])).toEqual([null, null, null])
  expect(tokensWithin('one 你 two', pieces, [3])).toEqual([0])
})
