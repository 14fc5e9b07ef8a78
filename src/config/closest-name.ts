/**
 * Edit distances, with transpositions of neighbours, from `a` to every beginning of `b`; the last
 * one is to the whole of `b`. O(a·b), for short names only.
 */
function distances(a: string, b: string): number[] {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + change)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1)
      }
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last
}

function score(wanted: string, known: string): number {
  if (wanted.length >= 3 && (known.includes(wanted) || wanted.includes(known))) return 0.5
  const slips = distances(wanted, known)
  const whole = slips.at(-1) ?? wanted.length
  // People type the beginning of a long name, and a slip in it.
  return wanted.length >= 4 ? Math.min(whole, Math.min(...slips) + 0.25) : whole
}

/**
 * Up to `count` of the names that somebody may have meant by `typed`: a few slips away from the
 * name or its beginning, or containing it. Best first; empty when nothing is close.
 */
export function closestNames(typed: string, names: readonly string[], count = 3): string[] {
  const wanted = typed.toLowerCase().slice(0, 200)
  const allowed = Math.max(1, Math.floor(wanted.length / 3)) + 0.25
  return [...new Set(names)]
    .map((name) => ({ name, score: score(wanted, name.toLowerCase().slice(0, 200)) }))
    .filter((candidate) => candidate.score <= allowed)
    .sort((a, b) => a.score - b.score || a.name.localeCompare(b.name))
    .slice(0, count)
    .map(({ name }) => name)
}
