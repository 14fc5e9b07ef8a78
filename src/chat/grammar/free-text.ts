/**
 * Text up to a marker, as an automaton written in rules: each state knows how much of a marker has
 * been read. So every engine that follows grammars knows where free text ends. Pure.
 */
import { type CharSet, charsOf, codePointsOf, complement, without } from './char-set.ts'
import { charClass, literal, type Piece, type Rules, sequence } from './gbnf.ts'

export interface Marker {
  readonly text: string
  /** What follows it; null: the text never has this marker. */
  readonly behind: Piece | null
}

export interface FreeTextOptions {
  /** May it end without a marker? */
  readonly mayEnd: boolean
  /** What it does not begin with. */
  readonly notFirst?: CharSet
}

/** Markers have at least one character, and none of them stands inside of another one. */
export function freeText(
  rules: Rules,
  markers: readonly Marker[],
  { mayEnd, notFirst = [] }: FreeTextOptions,
): Piece {
  const alphabet = [...new Set(markers.flatMap(({ text }) => [...text]))]
  const states = new Map<string, Piece>([['', rules.reserve('text')]])
  const open = ['']
  const stateFor = (read: string): Piece => {
    const known = states.get(read)
    if (known !== undefined) return known
    const name = rules.reserve('text')
    states.set(read, name)
    open.push(read)
    return name
  }
  const others = sequence(charClass(complement(charsOf(alphabet.join('')))), stateFor(''))
  const stepsFrom = (read: string): Piece[] =>
    alphabet.flatMap((char) => {
      const next = longestEnd(read + char, markers)
      const whole = markers.find(({ text }) => text === next)
      if (whole === undefined) return [sequence(literal(char), stateFor(next))]
      return whole.behind === null ? [] : [sequence(literal(char), whole.behind)]
    })
  for (let read = open.pop(); read !== undefined; read = open.pop()) {
    const pieces = [others, ...stepsFrom(read), ...(mayEnd ? ['""'] : [])]
    rules.define(stateFor(read), pieces.join(' | '))
  }
  if (notFirst.length === 0) return stateFor('')
  const first = without(complement(charsOf(alphabet.join(''))), notFirst)
  const begins = alphabet.filter((char) => !notFirst.some(([a, b]) => inRange(char, a, b)))
  const steps = begins.flatMap((char) => {
    const next = longestEnd(char, markers)
    return states.has(next) ? [sequence(literal(char), stateFor(next))] : []
  })
  const pieces = [sequence(charClass(first), stateFor('')), ...steps, ...(mayEnd ? ['""'] : [])]
  return rules.add('text', pieces.join(' | '))
}

const inRange = (char: string, from: number, to: number): boolean =>
  codePointsOf(char).every((code) => from <= code && code <= to)

/** The longest end that begins a marker, or is one. */
function longestEnd(text: string, markers: readonly Marker[]): string {
  const chars = [...text]
  for (let from = 0; from < chars.length; from += 1) {
    const end = chars.slice(from).join('')
    if (markers.some((marker) => marker.text.startsWith(end))) return end
  }
  return ''
}
