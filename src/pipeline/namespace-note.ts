/**
 * What is remembered of a namespace beside its digest, so that `ls` and `inspect` can say whose
 * blocks these are after another model was served from the same directory.
 */
import type { RecordKind } from '../../cache/index.ts'
import type { Fingerprint } from '../../engines/index.ts'
import type { Mismatch } from './types.ts'

export interface NamespaceNote {
  readonly model: string
  readonly fingerprint: Fingerprint
  /** Absent in notes of older versions; without it nothing can be exported. */
  readonly weightsDigest?: string
  /** Of the layout: rows alone restore nothing where it has more. */
  readonly kinds: readonly RecordKind[]
  /** Absent where no keys were in use. */
  readonly tenant?: string
}

export const writeNote = (note: NamespaceNote): string => JSON.stringify(note)

/** Null for what an older version, or damage, has left. */
export function readNote(text: string | undefined): NamespaceNote | null {
  try {
    const note = JSON.parse(text ?? 'null') as NamespaceNote | null
    if (typeof note?.model !== 'string') return null
    return Array.isArray(note.kinds) ? note : { ...note, kinds: ['kv'] }
  } catch {
    return null
  }
}

/** Why a worker does not find what another one has stored: each value that is not the same. */
export function mismatches(stored: Fingerprint, served: Fingerprint): Mismatch[] {
  const before = valuesOf(stored)
  const now = valuesOf(served)
  const names = new Set([...before.keys(), ...now.keys()])
  return [...names].flatMap((name) => {
    const pair = { name, stored: before.get(name) ?? 'none', served: now.get(name) ?? 'none' }
    return pair.stored === pair.served ? [] : [pair]
  })
}

const valuesOf = ({ settings, ...values }: Fingerprint): ReadonlyMap<string, string> =>
  new Map(Object.entries({ ...values, ...settings }).map(([name, value]) => [name, `${value}`]))
