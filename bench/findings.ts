/** What a proof has to show, each with what was found. Pure. */

export interface Finding {
  readonly claim: string
  readonly holds: boolean
  readonly found: string
}

export const isProven = (findings: readonly Finding[]): boolean =>
  findings.every(({ holds }) => holds)

export const findingLines = (findings: readonly Finding[]): string[] =>
  findings.map(({ claim, holds, found }) => `${holds ? 'holds' : 'FAILS'}  ${claim}: ${found}`)
