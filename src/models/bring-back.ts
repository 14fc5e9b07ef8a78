/** How a model of the store that has gone comes back. Pure. */
import { findInCatalogue } from './catalogue.ts'
import { isHubRef } from './hub-ref.ts'
import type { StoredModel } from './store-paths.ts'

/** The command; null for what somebody put there by hand. */
export function bringBackCommand({
  name,
  source,
}: Pick<StoredModel, 'name' | 'source'>): string | null {
  const made = /^gguf:(.+?)(?: as (float32|float16))?$/.exec(source)
  if (made !== null) {
    const [, gguf = '', dtype] = made
    const type = dtype === undefined ? '' : ` --dtype ${dtype}`
    return `prefixd models convert ${gguf} --to mlx${type}`
  }
  if (findInCatalogue(name) !== undefined) return `prefixd models pull ${name}`
  return isHubRef(source) ? `prefixd models pull ${source}` : null
}
