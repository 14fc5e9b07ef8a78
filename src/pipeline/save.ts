/** What the engine has computed goes into the cache, block by block, through the request's lease. */
import type { PrefixLease } from '../../cache/index.ts'
import type { RecordSink } from '../../engines/index.ts'

export function saveThrough(lease: PrefixLease): RecordSink {
  return {
    reserve: (request) => lease.reserve(request),
    commit: (record) => {
      lease.commit(record.bytes, record.crc32s)
    },
    abandon: (bytes) => lease.abandon(bytes),
  }
}
