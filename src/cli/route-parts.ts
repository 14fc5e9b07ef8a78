/** What the commands' flags and arguments are made of. */
import { commandHelp } from './help.ts'

export const docs = (name: keyof typeof commandHelp) => ({ brief: commandHelp[name].brief })

export const onOff = (brief: string) =>
  ({ kind: 'boolean', optional: true, withNegated: false, brief }) as const

export const text = (placeholder: string, brief: string) =>
  ({ kind: 'parsed', parse: (input: string) => input, optional: true, placeholder, brief }) as const

/** One argument, or as many as somebody types. */
export const argument = (placeholder: string, brief: string) =>
  ({ placeholder, brief, parse: (input: string) => input }) as const
