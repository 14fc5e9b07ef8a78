/**
 * What is done to a stored chain as a whole when somebody asks for it: to the SSD, back into RAM,
 * or to the front of what goes next.
 */
import type { Admission } from './admission.ts'
import { membersOf, type Reach } from './keeping.ts'
import { type LoadingHost, readAhead } from './loading.ts'
import type { CachedBlock, CachedRecord } from './prefix-index.ts'

/** Part of the RAM tier that one chain may be brought back into, at the cost of what is there. */
const backShare = 1 / 2

/** From the beginning, and of all boundaries the deepest one only. */
function* recordsOf(reach: Reach): Generator<CachedRecord> {
  for (const block of [...membersOf(reach)].reverse()) {
    const isExact = block === reach.boundary
    for (const record of block.records) if (record.kind === 'kv' || isExact) yield record
  }
}

/** What is in RAM only goes to the SSD, unless whoever saved it wants no copy there. */
export function writeThrough(admission: Admission, reach: Reach): void {
  for (const record of recordsOf(reach)) {
    const isMissing = ['none', 'failed', 'waiting'].includes(record.ssd)
    if (isMissing && record.extent !== null) admission.enter(record, 'kept')
  }
}

/**
 * Reads into RAM what only the SSD has, until `signal` says stop, nothing gives it room or a record
 * cannot be read, which has been reported then. Returns the bytes that were read.
 */
export async function readBack(
  host: LoadingHost,
  reach: Reach,
  signal: AbortSignal,
): Promise<number> {
  const { ram } = host
  const namespace = reach.end?.namespace
  if (namespace === undefined) return 0
  const mostBytes = ram.mostBytes(namespace) * backShare
  let readBytes = 0
  for (const record of [...recordsOf(reach)]) {
    if (record.extent !== null) continue
    if (signal.aborted || record.ssd !== 'stored') break
    if (readBytes + record.sizeBytes > mostBytes) break
    if (!(await readAhead(host, record, () => ram.allocate(record, namespace)))) break
    readBytes += record.sizeBytes
  }
  return readBytes
}

/** Nobody will come back to these blocks: they go before all others, children before parents. */
export function demote({ ram, ssd }: LoadingHost, blocks: readonly CachedBlock[]): void {
  for (const block of [...blocks].sort((a, b) => a.index - b.index)) {
    block.keepClass = 0
    for (const record of block.records) {
      if (record.extent !== null) ram.order.putOldest(record)
      if (record.ssd === 'stored') ssd?.order.putOldest(record)
    }
  }
}
