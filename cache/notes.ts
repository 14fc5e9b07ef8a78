/** What is remembered of namespaces, for people: whose blocks these are. */
import type { Namespace } from './types.ts'

/** A note is some hundred bytes. Clients choose namespaces by their salts, so there is an end. */
const mostNotes = 4096

export interface NoteStore {
  /** Also what earlier runs have noted. */
  notes(): ReadonlyMap<Namespace, string>
  /** An empty text removes the note. */
  note(namespace: Namespace, text: string): Promise<void>
}

export interface NamespaceNotes {
  readonly all: ReadonlyMap<Namespace, string>
  /** Only people read it: a failure costs a name in a list. */
  write(namespace: Namespace, text: string): void
}

/** When there are too many, those go of whose namespace nothing is stored. */
export function createNotes(
  store: NoteStore | null,
  isStored: (namespace: Namespace) => boolean,
  warn: (message: string, error: unknown) => void,
  most = mostNotes,
): NamespaceNotes {
  const all = new Map(store?.notes() ?? [])
  const write = (namespace: Namespace, text: string): void => {
    store?.note(namespace, text).catch((error) => {
      warn('the name of a namespace could not be stored', error)
    })
  }
  return {
    all,
    write(namespace, text) {
      if (all.get(namespace) === text) return
      all.set(namespace, text)
      write(namespace, text)
      if (all.size <= most) return
      for (const old of [...all.keys()]) {
        if (old === namespace || isStored(old)) continue
        all.delete(old)
        write(old, '')
      }
    },
  }
}
