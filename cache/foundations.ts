/**
 * What stands on what: rows on the rows of the block before, what is exact at a boundary on the
 * rows of its own block. Nothing stays on the SSD without what it stands on: a restart would find
 * garbage, and the one copy of what is missing could not leave the RAM before it.
 */
import {
  type CachedBlock,
  type CachedRecord,
  isBlock,
  recordOf,
  type TreeRoot,
} from './prefix-index.ts'

const rowsOf = (node: CachedBlock | TreeRoot): CachedRecord | undefined =>
  isBlock(node) ? recordOf(node, 'kv') : undefined

/** The block, or the root, whose rows it stands on; its own may be still to come. */
const groundOf = ({ block, kind }: CachedRecord): CachedBlock | TreeRoot =>
  kind === 'kv' ? block.parent : block

/** Is what it stands on neither on the SSD nor on its way there? */
export function isUnfounded(record: CachedRecord): boolean {
  const rows = rowsOf(groundOf(record))
  return rows !== undefined && rows.ssd !== 'stored' && rows.ssd !== 'pending'
}

/**
 * What it stands on and the SSD does not have, parents first. Null: the disk has refused some of
 * that.
 */
export function missingBelow(record: CachedRecord): CachedRecord[] | null {
  const found: CachedRecord[] = []
  let node = groundOf(record)
  while (isBlock(node)) {
    if (rowsOf(node)?.ssd === 'failed') return null
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
