/** What is stored tells what was asked: nobody else is to look into its directory. */
import { chmodSync, type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { CacheError } from '../errors.ts'

const othersMask = 0o077
const stickyBit = 0o1000

/**
 * Takes others' rights to a directory that exists already and is ours, and says so. Throws
 * `PREFIXD_E_CACHE_DIRECTORY` where they are not ours to take: it is another's, or everybody's.
 */
export function makePrivate(directory: string, onTightened: (message: string) => void): void {
  const absolute = resolve(directory)
  const stats = statSync(absolute, { throwIfNoEntry: false })
  if (stats === undefined || (stats.mode & othersMask) === 0) return
  const mode = (stats.mode & 0o7777).toString(8)
  const refusal = refusalOf(stats)
  if (refusal !== null) throw cannotBePrivate(absolute, `${refusal} (mode ${mode})`)
  try {
    chmodSync(absolute, 0o700)
  } catch (cause) {
    throw cannotBePrivate(absolute, `its mode ${mode} cannot be changed: ${cause}`, cause)
  }
  onTightened(`The directory ${absolute} was open to others (mode ${mode}); its mode is 700 now.`)
}

function refusalOf({ uid, mode }: Stats): string | null {
  if (uid !== process.getuid?.()) return 'it belongs to another user'
  return (mode & stickyBit) === 0 ? null : 'it is a folder for everybody'
}

const cannotBePrivate = (directory: string, why: string, cause?: unknown): CacheError =>
  new CacheError(
    'PREFIXD_E_CACHE_DIRECTORY',
    `The directory ${directory} is open to others, and ${why}. Name a folder inside it, which ` +
      'prefixd then makes for itself alone, or another one, with --dir.',
    { cause },
  )
