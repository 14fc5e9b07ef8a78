/**
 * Looks at the file system of the SSD tier while it is in use, and says when others have filled it
 * or left it. Nothing that is stored is lost meanwhile: what is computed stays in RAM, and goes to
 * the SSD when there is room.
 */
import type { Admission } from './admission.ts'
import type { SsdTier } from './tiers/tier.ts'
import type { DiskUsage } from './types.ts'

export interface DiskGuardHost {
  readonly tier: SsdTier
  readonly admission: Pick<Admission, 'enterAgain'>
  warn(message: string, error: unknown): void
}

const consequences: Readonly<Record<DiskUsage['state'], string>> = {
  enough: 'the SSD tier is written and grows as before',
  no_growth: 'the SSD tier grows no further',
  no_writes: 'nothing is written to the SSD tier, and what is computed stays in RAM',
}

const mebibyte = 1024 ** 2

export class DiskGuard {
  readonly #host: DiskGuardHost
  #told: DiskUsage['state'] = 'enough'

  constructor(host: DiskGuardHost) {
    this.#host = host
  }

  get usage(): DiskUsage {
    return this.#host.tier.usage().disk
  }

  /** Never rejects. */
  async look(): Promise<void> {
    const { tier, admission, warn } = this.#host
    try {
      await tier.look()
    } catch (error) {
      warn('the free space of the SSD tier could not be looked at', error)
      return
    }
    const { state, freeBytes, resumesAtBytes } = this.usage
    if (state === this.#told || freeBytes === null) return
    const wasFull = this.#told === 'no_writes'
    this.#told = state
    const resumes =
      resumesAtBytes === null
        ? ''
        : `; it goes on by itself with ${Math.ceil(resumesAtBytes / mebibyte)} MiB`
    const what = consequences[state] + resumes
    const free = `${Math.floor(freeBytes / mebibyte)} MiB free`
    warn(`the file system of the SSD tier has ${free}: ${what}`, null)
    if (wasFull) admission.enterAgain()
  }
}
