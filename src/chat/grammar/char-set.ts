/** Sets of code points, as ranges in rising order that do not touch. Pure. */
export type CharSet = readonly (readonly [from: number, to: number])[]

export const lastCodePoint = 0x10ffff

/** Halves of pairs are no characters: no UTF-8 has them. */
export const everyChar: CharSet = [
  [0, 0xd7ff],
  [0xe000, lastCodePoint],
]

export function union(...sets: readonly CharSet[]): CharSet {
  const merged: [number, number][] = []
  for (const [from, to] of sets.flat().sort(([a], [b]) => a - b)) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  return merged
}

export function without(set: CharSet, taken: CharSet): CharSet {
  let left = set
  for (const [from, to] of taken) {
    left = left.flatMap(([a, b]): CharSet => {
      if (to < a || from > b) return [[a, b]]
      return [
        ...(a < from ? [[a, from - 1] as const] : []),
        ...(b > to ? [[to + 1, b] as const] : []),
      ]
    })
  }
  return left
}

export const complement = (set: CharSet): CharSet => without(everyChar, set)

export const both = (a: CharSet, b: CharSet): CharSet => without(a, complement(b))

export const charsOf = (text: string): CharSet =>
  union([...text].map((char) => [char.codePointAt(0) ?? 0, char.codePointAt(0) ?? 0] as const))

export const codePointsOf = (text: string): number[] =>
  [...text].map((char) => char.codePointAt(0) ?? 0)

export const has = (set: CharSet, char: number): boolean =>
  set.some(([from, to]) => from <= char && char <= to)
