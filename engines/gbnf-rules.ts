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

/** Rules that match the empty text. Each sequence is looked at once a rule that it waits for. */
function emptyRules(rules: readonly GrammarRule[]): ReadonlySet<number> {
  const empty = new Set<number>()
  const waiting = new Map<number, { readonly rule: number; missing: number }[]>()
  const found: number[] = []
  for (const [rule, { alternatives }] of rules.entries()) {
    for (const symbols of alternatives) {
      if (symbols.some((symbol) => 'chars' in symbol)) continue
      const sequence = { rule, missing: symbols.length }
      for (const symbol of symbols) {
        if (!('rule' in symbol)) continue
        const others = waiting.get(symbol.rule) ?? []
        others.push(sequence)
        waiting.set(symbol.rule, others)
      }
      if (symbols.length === 0) found.push(rule)
    }
  }
  for (let rule = found.pop(); rule !== undefined; rule = found.pop()) {
    if (empty.has(rule)) continue
    empty.add(rule)
    for (const sequence of waiting.get(rule) ?? []) {
      sequence.missing -= 1
      if (sequence.missing === 0) found.push(sequence.rule)
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
