/**
 * What stands on what: rows on the rows of the block before, what is exact at a boundary on the
 * rows of its own block. Nothing is on the SSD, or on its way there, while the disk refuses what it
 * stands on: a restart would find garbage, and the one copy of what is missing could not leave the
 * RAM before it.
 */
import {
  type CachedBlock,
  type CachedRecord,
  isBlock,
  recordOf,
  type TreeRoot,
} from './prefix-index.ts'

const isRefused = (node: CachedBlock | TreeRoot): boolean =>
  isBlock(node) && recordOf(node, 'kv')?.ssd === 'failed'

/** The block, or the root, whose rows it stands on; its own may be still to come. */
const groundOf = ({ block, kind }: CachedRecord): CachedBlock | TreeRoot =>
  kind === 'kv' ? block.parent : block

/** Has the disk refused what it stands on? */
export const isUnfounded = (record: CachedRecord): boolean => isRefused(groundOf(record))

/**
 * What it stands on and the SSD does not have, parents first. Null: the disk has refused some of
 * that.
 */
export function missingBelow(record: CachedRecord): CachedRecord[] | null {
  const found: CachedRecord[] = []
  let node = groundOf(record)
  while (isBlock(node)) {
    if (isRefused(node)) return null
    const members = node.records.filter((member) => member !== record && isMissed(member))
    if (members.length === 0) break
    found.push(...members)
    node = node.parent
  }
  return found.reverse()
}

/** Whoever kept it off the disk did not know of those who go on behind it. */
function isMissed({ ssd, kind, extent }: CachedRecord): boolean {
  if (extent === null) return false
  return ssd === 'kept off' || (kind === 'kv' && (ssd === 'waiting' || ssd === 'none'))
}

/** All that stands on this record, parents first. */
export function standingOn(record: CachedRecord): CachedRecord[] {
  if (record.kind !== 'kv') return []
  const blocks = [record.block]
  for (const { children } of blocks) blocks.push(...children)
  return blocks.flatMap(({ records }) => records).filter((each) => each !== record)
}
