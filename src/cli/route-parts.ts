/** What the commands' flags and arguments are made of. */
import { commandHelp } from './help.ts'
import { parseAge } from './render/duration.ts'

export const docs = (name: keyof typeof commandHelp) => ({ brief: commandHelp[name].brief })

export const onOff = (brief: string) =>
  ({ kind: 'boolean', optional: true, withNegated: false, brief }) as const

export const text = (placeholder: string, brief: string) =>
  ({ kind: 'parsed', parse: (input: string) => input, optional: true, placeholder, brief }) as const

const dayMs = 24 * 3_600_000

const parseAgeUpTo = (mostMs: number) => (input: string) => {
  const ageMs = parseAge(input)
  if (ageMs === null) throw new Error('it must be an age such as 90s, 30m, 12h, 7d or 2w')
  if (ageMs <= mostMs) return ageMs
  throw new Error(`it must be ${mostMs / dayMs}d at most`)
}

/** At most whole days, where there is a limit. */
export const age = (brief: string, mostMs = Number.POSITIVE_INFINITY) =>
  ({
    kind: 'parsed',
    parse: parseAgeUpTo(mostMs),
    optional: true,
    placeholder: 'age',
    brief,
  }) as const

/** One argument, or as many as somebody types. */
export const argument = (placeholder: string, brief: string) =>
  ({ placeholder, brief, parse: (input: string) => input }) as const
