/** What the commands' flags and arguments are made of. */
import { commandHelp } from './help.ts'
import { parseAge } from './render/duration.ts'

export const docs = (name: keyof typeof commandHelp) => ({ brief: commandHelp[name].brief })

export const onOff = (brief: string) =>
  ({ kind: 'boolean', optional: true, withNegated: false, brief }) as const

export const text = (placeholder: string, brief: string) =>
  ({ kind: 'parsed', parse: (input: string) => input, optional: true, placeholder, brief }) as const

function parseAgeFlag(input: string): number {
  const ageMs = parseAge(input)
  if (ageMs !== null) return ageMs
  throw new Error('it must be an age such as 90s, 30m, 12h, 7d or 2w')
}

export const age = (brief: string) =>
  ({ kind: 'parsed', parse: parseAgeFlag, optional: true, placeholder: 'age', brief }) as const

/** One argument, or as many as somebody types. */
export const argument = (placeholder: string, brief: string) =>
  ({ placeholder, brief, parse: (input: string) => input }) as const
