/** Random texts of a grammar, to feed to whatever has to read what it allows. */
import type { CharSet, Grammar, Sequence } from '../../engines/gbnf-rules.ts'

/** `random` gives numbers from 0 up to, but not including, 1. */
export function createTextWriter(grammar: Grammar, random: () => number) {
  const shortest = shortestTexts(grammar)
  const lengthOf = (sequence: Sequence): number => sequenceLength(sequence, shortest)

  /** Behind about `symbolsWanted` symbols it takes the shortest way to the end. */
  return (symbolsWanted: number): string => {
    let left = symbolsWanted
    let text = ''
    const open = [{ rule: grammar.root } as Sequence[number]]
    for (let symbol = open.pop(); symbol !== undefined; symbol = open.pop()) {
      if ('chars' in symbol) {
        text += String.fromCodePoint(charOf(symbol.chars, random))
        continue
      }
      left -= 1
      const all = grammar.rules[symbol.rule]?.alternatives ?? []
      const chosen =
        left > 0 ? pick(all, random) : [...all].sort((a, b) => lengthOf(a) - lengthOf(b))[0]
      open.push(...[...(chosen ?? [])].reverse())
    }
    return text
  }
}

function sequenceLength(sequence: Sequence, shortest: readonly number[]): number {
  return sequence.reduce(
    (sum, symbol) => sum + ('rule' in symbol ? 1 + (shortest[symbol.rule] ?? 0) : 1),
    0,
  )
}

/** For each rule the least number of symbols and rules that its text needs. */
function shortestTexts({ rules }: Grammar): number[] {
  const shortest = rules.map(() => Number.POSITIVE_INFINITY)
  for (let changed = true; changed; ) {
    changed = false
    for (const [index, { alternatives }] of rules.entries()) {
      const length = Math.min(...alternatives.map((it) => sequenceLength(it, shortest)))
      if (length >= (shortest[index] ?? 0)) continue
      shortest[index] = length
      changed = true
    }
  }
  return shortest
}

function pick<T>(all: readonly T[], random: () => number): T | undefined {
  return all[Math.floor(random() * all.length)]
}

/** Mostly something that can be printed; sometimes any character that the set has. */
function charOf(chars: CharSet, random: () => number): number {
  const printable = chars.flatMap(([from, to]): [number, number][] =>
    from <= 0x7e && to >= 0x20 ? [[Math.max(from, 0x20), Math.min(to, 0x7e)]] : [],
  )
  const [from, to] = pick(printable.length > 0 && random() < 0.9 ? printable : chars, random) ?? [
    0, 0,
  ]
  const char = from + Math.floor(random() * (to - from + 1))
  // Halves of a pair are no characters.
  return char >= 0xd800 && char <= 0xdfff ? 0xe9 : char
}
