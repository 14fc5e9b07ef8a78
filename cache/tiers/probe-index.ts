/**
 * Run as a process of its own: reads all pages of an index that was not closed, and writes once,
 * for which LMDB reads its list of free pages. Ends with 0 when it could; a damaged index kills it,
 * or makes LMDB throw.
 */
import { open } from 'lmdb'
import { openDatabases } from './record-index.ts'

const path = process.argv[2]
if (path === undefined) throw new Error('usage: probe-index <path of the index>')
const root = open<Buffer, Buffer>({ path, noSubdir: true, maxDbs: 4 })
const databases = openDatabases(root)
for (const database of Object.values(databases)) {
  const { overflowPages } = database.getStats() as { overflowPages: number }
  // Small values are on the pages of their keys, and keys alone are read three times faster.
  if (overflowPages === 0) for (const key of database.getKeys()) key.at(0)
  else for (const { value } of database.getRange()) value.at(-1)
}
await databases.meta.put(Buffer.from('probed'), Buffer.from(`${Date.now()}`))
await root.close()
