import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fixtures } from './fixtures.ts'
import { readAnswer } from './read-answer.ts'

/** The text in pieces, cut at these places. */
const cutAt = (text: string, places: readonly number[]): string[] => {
  const sorted = [0, ...places.map((place) => place % (text.length + 1)), text.length]
  sorted.sort((a, b) => a - b)
  return sorted.slice(1).map((end, index) => text.slice(sorted[index], end))
}

const places = fc.array(fc.nat({ max: 1000 }), { maxLength: 40 })

test.each(fixtures)('$family: $what: every way of cutting it gives the same parts', (fixture) => {
  const whole = readAnswer(fixture, [fixture.answer])
  expect(readAnswer(fixture, [...fixture.answer]).parts).toEqual(whole.parts)
  fc.assert(
    fc.property(places, (cuts) => {
      expect(readAnswer(fixture, cutAt(fixture.answer, cuts)).parts).toEqual(whole.parts)
    }),
    { numRuns: 40 },
  )
})

const markup =
  /<\|?\/?(tool_call|function|parameter|arg_|channel|message|start|think)|\[TOOL_CALLS\]|tool▁/

test.each(fixtures)('$family: $what: nothing of the markup leaks, wherever it ends', (fixture) => {
  const whole = readAnswer(fixture, [fixture.answer])
  const shown = `${whole.text}${whole.reasoning}`
  if (markup.test(shown)) return
  for (let length = 0; length < fixture.answer.length; length += 1) {
    const { text, reasoning, calls } = readAnswer(fixture, [fixture.answer.slice(0, length)])
    expect(`${text} ${reasoning}`).not.toMatch(markup)
    for (const [index, [name, json]] of calls.entries()) {
      expect(whole.calls[index]?.[0]).toBe(name)
      expect(whole.calls[index]?.[1].startsWith(json)).toBe(true)
    }
  }
})

const plain = fc.string({ unit: fc.constantFrom(...'ab <>|{}[]":,\n`/=('), maxLength: 60 })

test.each(fixtures)('$family: $what: text that is no markup comes out as it went in', (fixture) => {
  const { template } = fixture
  fc.assert(
    fc.property(plain, places, (text, cuts) => {
      expect(readAnswer({ template }, cutAt(text, cuts)).text).toBe(text)
    }),
    { numRuns: 60 },
  )
})
