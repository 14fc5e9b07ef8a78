/** What is pinned beyond what may be, since a tier has become smaller: `prefixd pin`, `budget`. */
import type { PinListJson } from '../../api/native/schema.ts'
import { formatSize } from '../../config/sizes.ts'
import type { Terminal } from '../context.ts'
import { wrap } from './text.ts'

export function pinSurplus({ tiers }: PinListJson, { width }: Terminal): string[] {
  return tiers.flatMap(({ tier, kept_bytes: keptBytes, most_bytes: mostBytes }) => {
    if (keptBytes <= mostBytes) return []
    const sizes = `${formatSize(keptBytes)} of the ${tier} are kept, and ${formatSize(mostBytes)}`
    const text =
      `${sizes}, half of it, is the most. What is pinned stays while prefixd runs; a start with ` +
      'a tier of this size has no room for those that were pinned last. Unpin some, or give the ' +
      `tier more: prefixd budget --${tier} SIZE`
    return ['', ...wrap(text, width)]
  })
}
