/**
 * What goes to the SSD, where less may be written a day than there is. Blocks that were used before
 * go before those that never were; what has to wait stays in RAM, and goes when it is used again or
 * when the service ends. A record goes with all that it stands on, or not at all: without it a
 * restart would find garbage.
 */
import { missingBelow } from './foundations.ts'
import type { Keeper } from './keeper.ts'
import type { Keeping } from './keeping.ts'
import type { CachedBlock, CachedRecord } from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import type { SsdStore } from './ssd-store.ts'
import type { Urgency } from './write-budget.ts'

export interface AdmissionHost {
  readonly ram: RamStore
  readonly ssd: SsdStore
  readonly keeper: Pick<Keeper, 'usesOf'>
  readonly keeping: Pick<Keeping, 'isKept'>
}

/** Records on their way at once when the RAM tier is written out at the end. */
const recordsPerFlush = 32

export class Admission {
  readonly #host: AdmissionHost

  constructor(host: AdmissionHost) {
    this.#host = host
  }

  /** Puts a record on its way to the SSD, with all that it stands on, or marks it as waiting. */
  enter(record: CachedRecord, urgency = this.#urgencyOf(record)): void {
    // What takes the place of refused bytes was among those that were tried again.
    if (record.ssd === 'pending') return
    const { ssd } = this.#host
    const below = missingBelow(record)
    if (below === null) ssd.leaveOff(record)
    else ssd.enqueue(record, below, urgency)
  }

  /** Would `enter` let this record in, all that it stands on being there? */
  affords(record: CachedRecord): boolean {
    return this.#host.ssd.affords(record, this.#urgencyOf(record))
  }

  /** These blocks of a chain were used again, from its beginning on. */
  usedAgain(blocks: readonly CachedBlock[]): void {
    for (const block of blocks) this.enterWaiting(block)
  }

  /** Tries again what had to wait of this block. */
  enterWaiting(block: CachedBlock, urgency?: Urgency): void {
    for (const record of block.records) if (isWaiting(record)) this.enter(record, urgency)
  }

  /**
   * Writes what is in RAM only, the most worth keeping first, as far as the budget and the time go:
   * it would be lost. Resolves when all of it is durable or has failed.
   */
  async flush(deadline: AbortSignal): Promise<void> {
    const { ram, ssd } = this.#host
    const { rows, boundaries } = ram.order
    const waiting = [...[...rows].reverse(), ...[...boundaries].reverse()].filter(isWaiting)
    for (const [at, record] of waiting.entries()) {
      if (deadline.aborted) break
      if (isWaiting(record)) this.enter(record, 'kept')
      if ((at + 1) % recordsPerFlush === 0) await ssd.idle()
    }
    await ssd.idle()
  }

  /** The disk has room again: what it has refused, and what has waited for it, is tried again. */
  enterAgain(): void {
    const wasLeft = (record: CachedRecord) => record.ssd === 'failed' || isWaiting(record)
    const left = [...this.#host.ram.order].filter(wasLeft)
    // Nothing goes before what it stands on.
    const depth = ({ block, kind }: CachedRecord) => 2 * block.index + (kind === 'kv' ? 0 : 1)
    for (const record of left.sort((a, b) => depth(a) - depth(b))) {
      if (wasLeft(record)) this.enter(record)
    }
  }

  #urgencyOf(record: CachedRecord): Urgency {
    const { keeper, keeping } = this.#host
    const { block } = record
    if (keeping.isKept(record, 'ssd')) return 'kept'
    return block.hits > 0 || keeper.usesOf(block.hash) > 0 ? 'again' : 'first'
  }
}

const isWaiting = (record: CachedRecord): boolean =>
  record.ssd === 'waiting' && record.extent !== null
