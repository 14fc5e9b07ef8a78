/** What one model or one tenant may hold of the tiers, as people write it. */
import { parseSize } from './sizes.ts'
import { paths, type ValueKind } from './value.ts'

/** Bytes, or a part of whatever the tier may take. */
type Amount = { readonly bytes: number } | { readonly part: number }

export interface Share {
  /** `model:NAME`, `tenant:NAME`, or with `*` for each of them alone. */
  readonly name: string
  readonly ram: Amount
  readonly ssd: Amount
}

export const shareForm =
  '`model:NAME=SIZE` or `tenant:NAME=SIZE`, with the name `*` for each that has no own share; ' +
  'SIZE is a part as `25%` or a size as `8GiB`, above 0, or one for RAM and one for the SSD as ' +
  '`2GiB/20GiB`; each name once'

/** Several of them, kept as they were written. */
export function shares(): ValueKind<readonly string[]> {
  const { placeholder, allowed, isSwitch, read } = paths('share', shareForm)
  return {
    placeholder,
    allowed,
    isSwitch,
    isList: true,
    read(raw) {
      const given = read(raw)
      return given?.every((text) => readShare(text) !== null) ? given : undefined
    },
  }
}

/** Where a name stands again: one of the two shares would count for nothing. -1: nowhere. */
export function repeatedAt(given: readonly Share[]): number {
  const names = given.map(({ name }) => name)
  return names.findIndex((name, at) => names.indexOf(name) < at)
}

/**
 * Names may have any of the characters that stand between the parts, so these are looked for from
 * the end. Null: it is no share.
 */
export function readShare(text: string): Share | null {
  const [, name, amounts] = /^((?:model|tenant):.+)=([^=]+)$/.exec(text.trim()) ?? []
  if (name === undefined || amounts === undefined) return null
  const [ram, ssd = ram, ...more] = amounts.split('/').map(readAmount)
  if (ram === undefined || ssd === undefined || more.length > 0) return null
  return ram === null || ssd === null ? null : { name, ram, ssd }
}

function readAmount(text: string): Amount | null {
  const percent = /^\s*(\d{1,3}(?:\.\d+)?)\s*%\s*$/.exec(text)?.[1]
  if (percent !== undefined) {
    const part = Number(percent) / 100
    return part > 0 && part <= 1 ? { part } : null
  }
  const bytes = parseSize(text)
  return bytes === null || bytes === 0 ? null : { bytes }
}
