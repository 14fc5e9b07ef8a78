/** How much memory this process may use: the machine's, or the container's where that is less. */
import { readFileSync } from 'node:fs'
import { freemem, totalmem } from 'node:os'
import { join } from 'node:path'

export interface MachineMemory {
  readonly totalBytes: number
  /** Not in use, or in use for copies of files that can be read again. Null: nobody can tell. */
  readonly availableBytes: number | null
}

export function machineMemory(): MachineMemory {
  // Without a container limit this is 0, or a number larger than any memory.
  const limitBytes = process.constrainedMemory()
  const isLimited = limitBytes > 0 && limitBytes < totalmem()
  const totalBytes = isLimited ? limitBytes : totalmem()
  if (process.platform === 'darwin') return { totalBytes, availableBytes: null }
  const group = isLimited ? groupUsage() : null
  const ofGroup = group === null ? totalBytes : totalBytes - group.usedBytes
  return { totalBytes, availableBytes: Math.max(0, Math.min(freemem(), ofGroup)) }
}

const root = '/sys/fs/cgroup'

/** What the processes of this container hold themselves. Null where the kernel does not tell. */
function groupUsage(): { readonly usedBytes: number } | null {
  for (const folder of groupFolders()) {
    try {
      const stat = readFileSync(join(folder, 'memory.stat'), 'utf8')
      const used = readFileSync(join(folder, 'memory.current'), 'utf8')
      return { usedBytes: Number(used) - fileBytesOf(stat) }
    } catch {}
  }
  return null
}

/** The own group of version 2, and the root, which is the own one inside of a container. */
function groupFolders(): readonly string[] {
  try {
    const own = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1]
    return own === undefined ? [root] : [join(root, own), root]
  } catch {
    return [root]
  }
}

/** Files in memory that no memfd is: the kernel drops them when memory is wanted. */
export function fileBytesOf(stat: string): number {
  const number = (name: string): number =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0)
  return Math.max(0, number('file') - number('shmem'))
}
