/** The versions that a file of requirements names, and a name for all of them together. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Pins {
  /** What pip and uv are given. */
  readonly file: string
  /** By package. */
  readonly versions: ReadonlyMap<string, string>
  /** Changes with any version, and with nothing else. */
  readonly digest: string
}

/** Reads `name==version` lines, and the files that `-r` names. */
export function readPins(file: string): Pins {
  const versions = new Map(pinsIn(file))
  const lines = [...versions].map(([name, version]) => `${name}==${version}\n`).sort()
  return { file, versions, digest: createHash('sha256').update(lines.join('')).digest('hex') }
}

function pinsIn(file: string): (readonly [name: string, version: string])[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const included = /^-r\s+(\S+)/.exec(line)?.[1]
      if (included !== undefined) return pinsIn(join(dirname(file), included))
      const [, name, version] = /^([\w.-]+)==(\S+)/.exec(line) ?? []
      return name === undefined || version === undefined ? [] : [[name, version] as const]
    })
}
