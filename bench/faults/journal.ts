/** What happened last, for whoever looks into a failure, and the first promise that was broken. */
import type { VirtualClock } from './virtual-clock.ts'

/** The simulation found something that must never be. */
export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise'
}

export interface Journal {
  note(what: string): void
  /** Remembers the first one; `check` throws it, outside of the code under test. */
  broken(what: string): void
  check(): void
  /** Oldest first. */
  readonly lines: readonly string[]
  /** Depends on every line: equal histories have equal digests. */
  readonly digest: number
}

const keptLines = 60

export function createJournal(clock: () => VirtualClock | null): Journal {
  const lines: string[] = []
  let first: BrokenPromise | null = null
  let digest = 0
  const note = (what: string): void => {
    const line = `${((clock()?.nowMs ?? 0) % 1e9).toFixed(1)} ms  ${what}`
    for (let at = 0; at < line.length; at += 1) {
      digest = (Math.imul(digest ^ line.charCodeAt(at), 0x01000193) >>> 0) + at
    }
    lines.push(line)
    if (lines.length > keptLines) lines.shift()
  }
  return {
    note,
    broken(what) {
      note(`BROKEN: ${what}`)
      first ??= new BrokenPromise(what)
    },
    check() {
      if (first !== null) throw first
    },
    lines,
    get digest() {
      return digest >>> 0
    },
  }
}
