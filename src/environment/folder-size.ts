import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Of all files below; links, and files that somebody takes away meanwhile, count nothing. */
export async function bytesBelow(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  let sum = 0
  for (const { parentPath, name } of files) {
    sum += await stat(join(parentPath, name)).then(
      ({ size }) => size,
      () => 0,
    )
  }
  return sum
}
