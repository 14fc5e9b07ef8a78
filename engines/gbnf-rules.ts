/** A grammar as rules of symbols, and what a matcher cannot walk in it. Pure. */

/** Code points, as ranges in rising order that do not touch. */
export type CharSet = readonly (readonly [from: number, to: number])[]
export type GrammarSymbol = { readonly chars: CharSet } | { readonly rule: number }
export type Sequence = readonly GrammarSymbol[]

export interface GrammarRule {
  /** Its own name, or that of the rule that it is a part of. */
  readonly name: string
  readonly alternatives: readonly Sequence[]
  /** Where it stands in the text. */
  readonly offset: number
}

export interface Grammar {
  readonly rules: readonly GrammarRule[]
  readonly root: number
}

/** Calls `found` with the first rule that may begin with itself. */
export function checkRules(
  rules: readonly GrammarRule[],
  found: (rule: GrammarRule) => never,
): void {
  const begins = leftmostRules(rules, emptyRules(rules))
  const done = new Set<number>()
  for (const start of rules.keys()) {
    if (done.has(start)) continue
    // Depth first, with a trail of its own: grammars of many rules nest deeper than our stack.
    const trail = [{ rule: start, next: 0 }]
    const onTrail = new Set([start])
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const next = begins[top.rule]?.[top.next]
      top.next += 1
      if (next === undefined) {
        done.add(top.rule)
        onTrail.delete(top.rule)
        trail.pop()
      } else if (onTrail.has(next)) {
        const rule = rules[next]
        if (rule !== undefined) found(rule)
      } else if (!done.has(next)) {
        trail.push({ rule: next, next: 0 })
        onTrail.add(next)
      }
    }
  }
}

/** Rules that match the empty text. */
function emptyRules(rules: readonly GrammarRule[]): ReadonlySet<number> {
  const empty = new Set<number>()
  for (let before = -1; before !== empty.size; ) {
    before = empty.size
    for (const [index, { alternatives }] of rules.entries()) {
      const isEmpty = alternatives.some((symbols) =>
        symbols.every((symbol) => 'rule' in symbol && empty.has(symbol.rule)),
      )
      if (isEmpty) empty.add(index)
    }
  }
  return empty
}

/** For each rule those that may stand at its very beginning. */
function leftmostRules(rules: readonly GrammarRule[], empty: ReadonlySet<number>): number[][] {
  return rules.map(({ alternatives }) => {
    const begins = new Set<number>()
    for (const symbols of alternatives) {
      for (const symbol of symbols) {
        if (!('rule' in symbol)) break
        begins.add(symbol.rule)
        if (!empty.has(symbol.rule)) break
      }
    }
    return [...begins]
  })
}
