/** What memory another process of ours has. */
import { readFileSync } from 'node:fs'

/**
 * Its own pages and those of files; memory that it shares with us, the RAM tier, is not counted.
 * Null where the system does not tell, or the process has ended.
 */
export function residentBytes(pid: number | null): number | null {
  if (pid === null || process.platform !== 'linux') return null
  try {
    return parseResident(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return null
  }
}

/** Of `/proc/PID/status`, which counts in KiB. */
export function parseResident(status: string): number | null {
  const kibibytes = ['RssAnon', 'RssFile'].map((name) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]),
  )
  const sum = kibibytes.reduce((total, each) => total + each, 0)
  return Number.isFinite(sum) ? sum * 1024 : null
}
