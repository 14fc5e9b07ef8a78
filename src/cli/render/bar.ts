/** A gauge of `cells` characters; anything above zero shows, and only a full one looks full. */
export function bar(fraction: number, cells: number): string {
  const share = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0
  let filled = Math.round(share * cells)
  if (share > 0 && filled === 0) filled = 1
  if (share < 1 && filled === cells) filled = cells - 1
  return '█'.repeat(filled) + '░'.repeat(cells - filled)
}
