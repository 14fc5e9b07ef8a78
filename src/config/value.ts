/**
 * The kinds of value that a setting can have. Each one reads what the file (TOML values), the
 * environment and the flags (strings) can say, and tells in words what it allows.
 */
import { parseSize } from './sizes.ts'

export interface ValueKind<T> {
  /** For help and docs, e.g. `size` in `--ram <size>`. */
  readonly placeholder: string
  /** What is allowed, as it stands behind "must be". */
  readonly allowed: string
  /** Switches of the command line: `--save`, `--no-save`. */
  readonly isSwitch: boolean
  /** The flag may be given several times, for one value each. */
  readonly isList?: true
  /** The value; undefined when `raw` is none of what is allowed. */
  read(raw: unknown): T | undefined
  /** For values with paths in them: the value with `absolute` of each path. */
  place?(value: T, absolute: (path: string) => string): T
}

export const text = (placeholder: string, allowed: string): ValueKind<string> => ({
  placeholder,
  allowed,
  isSwitch: false,
  read: (raw) =>
    typeof raw === 'string' && raw.trim() !== '' && !raw.includes('\0') ? raw.trim() : undefined,
})

/** A path as it was written; the loader makes it absolute. */
export const path = (placeholder: string, allowed: string): ValueKind<string> => ({
  ...text(placeholder, allowed),
  place: (value, absolute) => absolute(value),
})

/** At least one: a list in the file, or a text with commas. */
export const texts = (placeholder: string, allowed: string): ValueKind<readonly string[]> => ({
  placeholder,
  allowed: `${allowed}; or several of them, with commas between them`,
  isSwitch: false,
  isList: true,
  read(raw) {
    const named = listOf(raw)?.map((each) => text(placeholder, allowed).read(each))
    const isWhole = named !== undefined && named.length > 0 && !named.includes(undefined)
    return isWhole ? (named as string[]) : undefined
  },
})

/** Several paths: a list in the file, or a text with commas; `none` is the empty list. */
export const paths = (placeholder: string, allowed: string): ValueKind<readonly string[]> => ({
  placeholder,
  allowed: `none, or ${allowed}, with commas between them`,
  isSwitch: false,
  isList: true,
  read(raw) {
    const named = listOf(raw)?.map((each) => text(placeholder, allowed).read(each))
    if (named === undefined || named.includes(undefined)) return undefined
    return named.length === 1 && named[0] === 'none' ? [] : (named as string[])
  },
  place: (value, absolute) => value.map(absolute),
})

/** Null for what is neither a list nor a text. */
const listOf = (raw: unknown): readonly unknown[] | null =>
  typeof raw === 'string' ? raw.split(',') : Array.isArray(raw) ? raw : null

export function choice<const T extends string>(...values: readonly T[]): ValueKind<T> {
  return {
    placeholder: values.join('|'),
    allowed: `one of ${values.join(', ')}`,
    isSwitch: false,
    read: (raw) => values.find((value) => value === raw),
  }
}

/** One of these words, or two of them with a slash between. */
export const pairOf = (...known: readonly string[]): ValueKind<string> => ({
  placeholder: 'type',
  allowed: `one of ${known.join(', ')}, or two of them with a slash between`,
  isSwitch: false,
  read(raw) {
    const parts = typeof raw === 'string' ? raw.trim().split('/') : []
    const fits = parts.length > 0 && parts.length <= 2 && parts.every((it) => known.includes(it))
    return fits ? parts.join('/') : undefined
  },
})

/** Some of these words: a list in the file, or a text with commas; `none` is the empty list. */
export function words<const T extends string>(...known: readonly T[]): ValueKind<readonly T[]> {
  return {
    placeholder: 'names',
    allowed: `none, or some of ${known.join(', ')}, with commas between them`,
    isSwitch: false,
    isList: true,
    read(raw) {
      const given = listOf(raw)
      if (given === null) return undefined
      const named = given.map((word) => (typeof word === 'string' ? word.trim() : word))
      if (named.length === 0 || (named.length === 1 && named[0] === 'none')) return []
      if (!named.every((word) => known.some((each) => each === word))) return undefined
      return known.filter((word) => named.includes(word))
    },
  }
}

export const integer = (
  placeholder: string,
  range: { readonly min: number; readonly max: number; readonly multipleOf?: number },
  remark = '',
): ValueKind<number> => {
  const step = range.multipleOf ?? 1
  const multiple = step === 1 ? '' : ` and a multiple of ${step}`
  return {
    placeholder,
    allowed: `a whole number from ${range.min} to ${range.max}${multiple}${remark}`,
    isSwitch: false,
    read(raw) {
      const written = typeof raw === 'string' && /^\s*\d{1,15}\s*$/.test(raw) ? Number(raw) : raw
      if (typeof written !== 'number' || !Number.isSafeInteger(written)) return undefined
      const fits = written >= range.min && written <= range.max && written % step === 0
      return fits ? written : undefined
    },
  }
}

/** What the service chooses where nobody does. */
export const auto = 'auto'

/** `auto`, or a value of `kind`. */
export const autoOr = <T>(kind: ValueKind<T>): ValueKind<T | typeof auto> => ({
  ...kind,
  allowed: `${kind.allowed}, or ${auto}`,
  read: (raw) => (raw === auto ? auto : kind.read(raw)),
})

/** Bytes; `zero` says what 0 means where 0 is allowed although it is below `minBytes`. */
export const size = (
  range: { readonly minBytes: number; readonly maxBytes: number; readonly minText: string },
  zero?: string,
): ValueKind<number> => ({
  placeholder: 'size',
  allowed:
    `a size of at least ${range.minText}, like 8GiB, 500MB or plain bytes` +
    (zero === undefined ? '' : `, or 0 for ${zero}`),
  isSwitch: false,
  read(raw) {
    const sizeBytes = typeof raw === 'string' ? parseSize(raw) : raw
    if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes)) return undefined
    if (sizeBytes === 0 && zero !== undefined) return 0
    return sizeBytes >= range.minBytes && sizeBytes <= range.maxBytes ? sizeBytes : undefined
  },
})

const meanings: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
}

export const toggle = (): ValueKind<boolean> => ({
  placeholder: 'true|false',
  allowed: 'true or false',
  isSwitch: true,
  read: (raw) =>
    typeof raw === 'boolean'
      ? raw
      : typeof raw === 'string'
        ? meanings[raw.trim().toLowerCase()]
        : undefined,
})
