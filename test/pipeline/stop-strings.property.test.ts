import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createStopFilter } from '../../src/pipeline/stop-strings.ts'

function filtered(pieces: readonly string[], stops: readonly string[]) {
  const filter = createStopFilter(stops)
  const emitted: string[] = []
  for (const piece of pieces) {
    const verdict = filter.push(piece)
    emitted.push(verdict.text)
    const { stopString } = verdict
    if (stopString !== null) return { text: emitted.join(''), emitted, stopString }
  }
  emitted.push(filter.flush())
  return { text: emitted.join(''), emitted, stopString: null }
}

const textArbitrary = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 })
const piecesArbitrary = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 4 }))
const stopsArbitrary = fc.array(
  fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }),
  { maxLength: 3 },
)

describe('stop strings: property', () => {
  it('gives the text up to the first stop string, however it is cut into pieces', () => {
    fc.assert(
      fc.property(piecesArbitrary, stopsArbitrary, (pieces, stops) => {
        const whole = pieces.join('')
        // The answer ends with the first stop string that is complete, as the tokens come in.
        const ends = stops.flatMap((stop) => {
          const at = whole.indexOf(stop)
          return at < 0 ? [] : [at + stop.length]
        })
        const result = filtered(pieces, stops)
        expect(result.stopString !== null).toBe(ends.length > 0)
        expect(whole.startsWith(result.text + (result.stopString ?? ''))).toBe(true)
        for (const stop of stops) expect(result.text).not.toContain(stop)
        if (result.stopString === null) expect(result.text).toBe(whole)
      }),
    )
  })

  it('holds back exactly the longest end that could still become a stop string', () => {
    fc.assert(
      fc.property(textArbitrary, stopsArbitrary, (text, stops) => {
        const filter = createStopFilter(stops)
        let emitted = ''
        let consumed = ''
        for (const character of text) {
          consumed += character
          const verdict = filter.push(character)
          if (verdict.stopString !== null) return
          emitted += verdict.text
          const couldBegin = (end: string) =>
            stops.some((stop) => end.length < stop.length && stop.startsWith(end))
          const ends = Array.from({ length: consumed.length }, (_, i) => consumed.slice(i))
          expect(consumed.slice(emitted.length)).toBe(ends.find(couldBegin) ?? '')
        }
      }),
    )
  })
})

describe('stop strings', () => {
  it('holds back only what could be the beginning of one', () => {
    const filter = createStopFilter(['</tool>'])
    expect(filter.push('text <')).toEqual({ text: 'text ', stopString: null })
    expect(filter.push('/to')).toEqual({ text: '', stopString: null })
    expect(filter.push('ken>')).toEqual({ text: '</token>', stopString: null })
    expect(filter.push('</tool>more')).toEqual({ text: '', stopString: '</tool>' })
  })

  it('lets everything through at once when there are none', () => {
    expect(createStopFilter([]).push('abc')).toEqual({ text: 'abc', stopString: null })
  })
})
