/** How deep JSON goes. Pure. */

/** Goes level by level, not by recursion: what it looks for is what recursion cannot take. */
export function isNestedDeeper(value: unknown, levels: number): boolean {
  let level = membersOf([value])
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > levels) return true
    level = membersOf(level.flatMap((each) => Object.values(each)))
  }
  return false
}

const membersOf = (values: readonly unknown[]): object[] =>
  values.filter((value): value is object => typeof value === 'object' && value !== null)
