/**
 * How much may be written to the SSD, and how much was. Pure: times come in as arguments.
 *
 * A bucket: a quarter of a day's bytes may be written at once, the other three quarters come back
 * evenly over the day. So no 24 hours, wherever they begin, see more than the budget. Who asks less
 * urgently leaves a part of the bucket to those who ask more urgently.
 */

/** `kept`: somebody wants it to stay. `again`: it was used before. `first`: it never was. */
export type Urgency = 'kept' | 'again' | 'first'

/** Part of a day's bytes that may be written at once. */
const burstShare = 1 / 4

/** Part of the bucket that is left to the more urgent. */
const leftShare: Readonly<Record<Urgency, number>> = { kept: 0, again: 1 / 8, first: 1 / 2 }

const dayMs = 24 * 3_600_000
/** Days that the wear is projected from. */
const rememberedDays = 30

/** Of one day of UTC. */
interface Day {
  readonly startMs: number
  writtenBytes: number
  refusedBytes: number
}

export interface WriteUsage {
  /** Null: as much as there is to write. */
  readonly perDayBytes: number | null
  /** What may be written at once now, by the most urgent; null: there is no limit. */
  readonly leftBytes: number | null
  /** Since midnight, UTC. */
  readonly todayBytes: number
  /** What has had to wait since midnight, written meanwhile or not. */
  readonly refusedTodayBytes: number
  /** A day's bytes, by what the last 30 days have seen. */
  readonly meanPerDayBytes: number
}

export interface WriteBudgetOptions {
  readonly perDayBytes: number | null
  /** What `saved` said in an earlier run; null: this is the first one. */
  readonly saved: string | null
  readonly nowMs: number
}

interface SavedState {
  readonly leftBytes: number | null
  readonly atMs: number
  readonly days: readonly Day[]
}

export class WriteBudget {
  #perDayBytes: number | null
  /** In the bucket at `#atMs`; without a limit nobody looks. */
  #leftBytes: number
  #atMs: number
  readonly #days: Day[] = []

  constructor({ perDayBytes, saved, nowMs }: WriteBudgetOptions) {
    this.#perDayBytes = perDayBytes
    this.#leftBytes = this.#burstBytes
    this.#atMs = nowMs
    if (saved === null) return
    const state = readState(saved)
    this.#days.push(...(state?.days ?? []))
    // Nobody knows what was written: it may be as much as there is.
    if (state === null) this.#leftBytes = 0
    else if (state.leftBytes === null) this.#leftBytes = this.#unlimitedLeft(nowMs)
    else {
      this.#leftBytes = Math.min(this.#burstBytes, state.leftBytes)
      this.#atMs = state.atMs
      this.#refill(nowMs)
    }
  }

  /** May so many bytes be written? If so they count as written. */
  take(sizeBytes: number, urgency: Urgency, nowMs: number): boolean {
    if (!this.affords(sizeBytes, urgency, nowMs)) return false
    this.#leftBytes -= sizeBytes
    this.#today(nowMs).writtenBytes += sizeBytes
    return true
  }

  /** These have to wait, for the first time. */
  refuse(sizeBytes: number, nowMs: number): void {
    this.#today(nowMs).refusedBytes += sizeBytes
  }

  /** Would `take` say yes? */
  affords(sizeBytes: number, urgency: Urgency, nowMs: number): boolean {
    if (this.#perDayBytes === null) return true
    this.#refill(nowMs)
    return this.#leftBytes - sizeBytes >= this.#burstBytes * leftShare[urgency]
  }

  /** What was taken and then not written. */
  giveBack(sizeBytes: number, nowMs: number): void {
    const day = this.#today(nowMs)
    day.writtenBytes = Math.max(0, day.writtenBytes - sizeBytes)
    this.#leftBytes = Math.min(this.#burstBytes, this.#leftBytes + sizeBytes)
  }

  /** A smaller budget holds at once; a larger one fills the bucket from where it is. */
  change(perDayBytes: number | null, nowMs: number): void {
    this.#refill(nowMs)
    const wasLimited = this.#perDayBytes !== null
    this.#perDayBytes = perDayBytes
    this.#leftBytes = wasLimited
      ? Math.min(this.#leftBytes, this.#burstBytes)
      : this.#unlimitedLeft(nowMs)
  }

  usage(nowMs: number): WriteUsage {
    this.#refill(nowMs)
    const { startMs, writtenBytes, refusedBytes } = this.#today(nowMs)
    const firstMs = this.#days[0]?.startMs ?? startMs
    const sumBytes = this.#writtenSince(firstMs)
    return {
      perDayBytes: this.#perDayBytes,
      leftBytes: this.#perDayBytes === null ? null : Math.max(0, Math.floor(this.#leftBytes)),
      todayBytes: writtenBytes,
      refusedTodayBytes: refusedBytes,
      meanPerDayBytes: Math.round(sumBytes / Math.max(1, (nowMs - firstMs) / dayMs)),
    }
  }

  /** For the next run, a kilobyte or two. */
  get saved(): string {
    const state: SavedState = {
      leftBytes: this.#perDayBytes === null ? null : Math.floor(this.#leftBytes),
      atMs: this.#atMs,
      days: this.#days,
    }
    return JSON.stringify(state)
  }

  get #burstBytes(): number {
    return (this.#perDayBytes ?? 0) * burstShare
  }

  /** Where there was no limit before: what the last day has written counts. */
  #unlimitedLeft(nowMs: number): number {
    return Math.max(0, this.#burstBytes - this.#writtenSince(nowMs - dayMs))
  }

  #refill(nowMs: number): void {
    // A clock that was put back brings nothing, and does not stop what comes later.
    const elapsedMs = Math.max(0, nowMs - this.#atMs)
    this.#atMs = nowMs
    const perMs = ((this.#perDayBytes ?? 0) * (1 - burstShare)) / dayMs
    this.#leftBytes = Math.min(this.#burstBytes, this.#leftBytes + elapsedMs * perMs)
  }

  #today(nowMs: number): Day {
    const startMs = Math.floor(nowMs / dayMs) * dayMs
    const last = this.#days.at(-1)
    // Of days before the last one nothing is counted: a clock that was put back adds to it.
    if (last !== undefined && last.startMs >= startMs) return last
    const day = { startMs, writtenBytes: 0, refusedBytes: 0 }
    this.#days.push(day)
    while (startMs - (this.#days[0]?.startMs ?? startMs) >= rememberedDays * dayMs) {
      this.#days.shift()
    }
    return day
  }

  /** Whole days, so up to a day more. */
  #writtenSince(fromMs: number): number {
    let sumBytes = 0
    for (const { startMs, writtenBytes } of this.#days) {
      if (startMs + dayMs > fromMs) sumBytes += writtenBytes
    }
    return sumBytes
  }
}

/** Null: it is not what `saved` writes. */
function readState(text: string): SavedState | null {
  try {
    const state = JSON.parse(text) as SavedState
    const isRight =
      (state.leftBytes === null || Number.isFinite(state.leftBytes)) &&
      Number.isFinite(state.atMs) &&
      state.days.every((day) => Object.values(day).every(Number.isFinite))
    return isRight ? state : null
  } catch {
    return null
  }
}
