/**
 * How much each tier may take, changed while it is in use. A smaller tier first lets go what is
 * least worth keeping; what is left at its end then moves to where it does not end, and the end
 * goes back to the system. What requests use or somebody keeps stays, and is waited for.
 *
 * A process that dies meanwhile loses nothing: a record on the SSD is written to its new place
 * before LMDB forgets the old one.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { mayLeaveRam } from './evict.ts'
import type { Keeping } from './keeping.ts'
import { bringInPinned, type LoadingHost } from './loading.ts'
import type { CachedRecord } from './prefix-index.ts'
import type { SsdStore } from './ssd-store.ts'
import type { Arena, SsdUsage } from './tiers/tier.ts'
import type { TierBudget, TierName, WaitsFor } from './types.ts'

/** Copied in memory before others have their turn: about 2 ms. */
const copyStepBytes = 16 * 1024 * 1024
/** How often is looked whether what had to stay may go by now. */
const retryMs = 500

export interface BudgetsHost extends LoadingHost {
  readonly keeping: Pick<Keeping, 'keptBytes' | 'giveUpWishes'>
  warn(message: string, error: unknown): void
}

/** What follows a change of size; `ended` settles soon after `stop` was aborted. */
interface Adjusting {
  readonly stop: AbortController
  readonly isShrinking: boolean
  ended: Promise<void>
  waitsFor: WaitsFor | null
  wasRefused: boolean
}

/** Null: nothing is left to do. */
type Follow = null | {
  readonly isShrinking: boolean
  readonly run: (adjusting: Adjusting) => Promise<void>
}

export class Budgets {
  readonly #host: BudgetsHost
  readonly #openedBytes: Readonly<Record<TierName, number>>
  readonly #adjusting: Record<TierName, Adjusting | null> = { ram: null, ssd: null }
  #ramHeldBytes: number
  /** One change at a time. */
  #changed: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(host: BudgetsHost) {
    this.#host = host
    const ramBytes = host.ram.arena.capacityBytes
    this.#openedBytes = { ram: ramBytes, ssd: host.ssd?.tier.usage().budgetBytes ?? 0 }
    this.#ramHeldBytes = ramBytes
  }

  /** A store that had more room before goes down to what it has now. */
  begin(): void {
    const usage = this.#host.ssd?.tier.usage()
    if (usage !== undefined && !isDownTo(usage)) void this.resizeSsd(usage.budgetBytes)
  }

  ram(): TierBudget {
    const { capacityBytes, usedBytes } = this.#host.ram.arena
    const sizes = { budgetBytes: capacityBytes, usedBytes, heldBytes: this.#ramHeldBytes }
    return { ...sizes, ...this.#progress('ram') }
  }

  /** Null without an SSD tier. */
  ssd(): TierBudget | null {
    if (this.#host.ssd === null) return null
    const { budgetBytes, usedBytes, fileBytes } = this.#host.ssd.tier.usage()
    return { budgetBytes, usedBytes, heldBytes: fileBytes, ...this.#progress('ssd') }
  }

  /**
   * Resolves when the new size holds for whatever comes; what is there may take longer. At most
   * what the arena was made with.
   */
  resizeRam(sizeBytes: number): Promise<void> {
    return this.#change('ram', () => {
      const { arena } = this.#host.ram
      const beforeBytes = arena.capacityBytes
      arena.resize(sizeBytes)
      this.#ramHeldBytes = Math.max(this.#ramHeldBytes, arena.capacityBytes)
      if (arena.capacityBytes < beforeBytes || !isDown(arena)) {
        return { isShrinking: true, run: (adjusting) => this.#shrinkRam(adjusting) }
      }
      const run = ({ stop }: Adjusting) => this.#warmRam(beforeBytes, stop.signal)
      return { isShrinking: false, run }
    })
  }

  /** As `resizeRam`, in whole MiB. */
  resizeSsd(sizeBytes: number): Promise<void> {
    return this.#change('ssd', () => {
      const { ssd } = this.#host
      if (ssd === null) throw new RangeError('there is no SSD tier')
      ssd.tier.resize(sizeBytes)
      if (isDownTo(ssd.tier.usage())) return null
      return { isShrinking: true, run: (adjusting) => this.#shrinkSsd(ssd, adjusting) }
    })
  }

  /** Evicts what groups have beyond their shares, as far as it may go now. */
  async evictSurplus(): Promise<void> {
    this.#host.ram.evictDown()
    await this.#host.ssd?.evictDown()
  }

  /** Ends what is under way; later changes are ignored. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#changed
    await Promise.all([this.#stop('ram'), this.#stop('ssd')])
  }

  #progress(tier: TierName): Pick<TierBudget, 'openedWithBytes' | 'isShrinking' | 'waitsFor'> {
    const adjusting = this.#adjusting[tier]
    return {
      openedWithBytes: this.#openedBytes[tier],
      isShrinking: adjusting?.isShrinking ?? false,
      waitsFor: adjusting?.waitsFor ?? null,
    }
  }

  #change(tier: TierName, resize: () => Follow): Promise<void> {
    const changed = this.#changed.then(async () => {
      if (this.#isClosed) return
      await this.#stop(tier)
      const follow = resize()
      this.#host.keeping.giveUpWishes()
      if (follow !== null) this.#begin(tier, follow)
    })
    this.#changed = changed.catch(() => {})
    return changed
  }

  #begin(tier: TierName, { isShrinking, run }: NonNullable<Follow>): void {
    const stop = new AbortController()
    const ended = Promise.resolve()
    const adjusting: Adjusting = { stop, isShrinking, ended, waitsFor: null, wasRefused: false }
    this.#adjusting[tier] = adjusting
    adjusting.ended = run(adjusting)
      .catch((error) => this.#host.warn(`the ${tier} tier did not get to its new size`, error))
      .finally(() => {
        // What a closing cache has not got down to is for the next start.
        if (!this.#isClosed) this.#adjusting[tier] = null
      })
  }

  async #stop(tier: TierName): Promise<void> {
    const adjusting = this.#adjusting[tier]
    adjusting?.stop.abort()
    await adjusting?.ended
  }

  async #shrinkRam(adjusting: Adjusting): Promise<void> {
    const { ram } = this.#host
    const { arena } = ram
    const { signal } = adjusting.stop
    for (;;) {
      ram.evictDown()
      await this.#moveInRam(signal)
      if (await arena.giveBack(signal)) {
        this.#ramHeldBytes = arena.capacityBytes + arena.behindBytes
      }
      if (isDown(arena)) return
      adjusting.waitsFor = this.#reason('ram', arena)
      if (!(await passes(retryMs, signal))) return
    }
  }

  /** The most worth keeping first: where room runs out, others have made it. */
  async #moveInRam(signal: AbortSignal): Promise<void> {
    const { ram } = this.#host
    let movedBytes = 0
    for (const record of ram.idleBehind().reverse()) {
      if (signal.aborted || !ram.moveForward(record)) return
      movedBytes += record.sizeBytes
      if (movedBytes < copyStepBytes) continue
      movedBytes = 0
      await nextTurn()
    }
  }

  async #warmRam(fromBytes: number, signal: AbortSignal): Promise<void> {
    for await (const _ of this.#host.ram.arena.warmUp(signal, fromBytes));
  }

  async #shrinkSsd(ssd: SsdStore, adjusting: Adjusting): Promise<void> {
    const { signal } = adjusting.stop
    for (;;) {
      const isLeaving = await this.#evictOnSsd(ssd, adjusting)
      const hasMoved = isLeaving && (await this.#moveOnSsd(ssd, signal))
      const usage = ssd.tier.usage()
      if (isDownTo(usage)) return
      const room = { capacityBytes: usage.budgetBytes, usedBytes: usage.usedBytes }
      adjusting.waitsFor = hasMoved ? this.#reason('ssd', room) : 'writes'
      if (!(await passes(retryMs, signal))) return
    }
  }

  /** False: the disk does not let go of something, and is asked again. Told once. */
  async #evictOnSsd(ssd: SsdStore, adjusting: Adjusting): Promise<boolean> {
    try {
      await ssd.evictDown()
      return true
    } catch (error) {
      if (!adjusting.wasRefused) this.#host.warn('the SSD tier cannot become smaller now', error)
      adjusting.wasRefused = true
      return false
    }
  }

  /** False: the budget of writes does not reach for the next one. */
  async #moveOnSsd(ssd: SsdStore, signal: AbortSignal): Promise<boolean> {
    for (const record of ssd.idleBehind()) {
      if (signal.aborted) break
      try {
        if (!(await this.#moveRecord(ssd, record))) return false
      } catch (error) {
        const what = `the ${record.kind} of block ${record.block.hash}`
        this.#host.warn(`${what} could not be moved in the SSD tier; it stays where it is`, error)
      }
    }
    return true
  }

  /** By way of RAM, where nothing of it is left unless it was there. */
  async #moveRecord(ssd: SsdStore, record: CachedRecord): Promise<boolean> {
    const { ram } = this.#host
    const wasInRam = record.extent !== null
    await bringInPinned(this.#host, record)
    try {
      return await ssd.moveForward(record)
    } finally {
      ram.unpin(record)
      if (!wasInRam && mayLeaveRam(record)) ram.drop(record)
    }
  }

  #reason(
    tier: TierName,
    { usedBytes, capacityBytes }: { readonly usedBytes: number; readonly capacityBytes: number },
  ): WaitsFor {
    const isKept = usedBytes > capacityBytes && this.#host.keeping.keptBytes(tier) > capacityBytes
    return isKept ? 'kept' : 'in_use'
  }
}

const isDown = ({ usedBytes, capacityBytes, behindBytes }: Arena): boolean =>
  usedBytes <= capacityBytes && behindBytes === 0

const isDownTo = ({ usedBytes, budgetBytes, fileBytes }: SsdUsage): boolean =>
  usedBytes <= budgetBytes && fileBytes <= budgetBytes

/** False: the signal came first. */
function passes(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false)
  return new Promise((resolve) => {
    const stop = () => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve(true)
    }, ms)
    timer.unref()
    signal.addEventListener('abort', stop, { once: true })
  })
}
