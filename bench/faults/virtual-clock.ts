/**
 * Time that passes only when the simulation says so. What waits is called in the order of its time,
 * then of its asking, and between two calls everything runs that the first one has woken; so one
 * seed gives one history.
 */

export interface VirtualClock {
  readonly nowMs: number
  /** Calls so often have come so far. */
  readonly eventCount: number
  /** Returns what takes the call back. */
  after(delayMs: number, call: () => void): () => void
  /** Resolves after this time. */
  pass(delayMs: number): Promise<void>
  /** Lets everything run that waits for no time. */
  settle(): Promise<void>
  /** Makes the next call and lets everything run that it wakes. False: nobody waits. */
  step(): Promise<boolean>
  /** Nothing that waits now is ever called: whoever waited is dead. */
  forgetAll(): void
}

interface Waiting {
  readonly atMs: number
  readonly order: number
  call: (() => void) | null
}

/** The real one, before anybody replaces timers. It comes when no promise can go on any more. */
const realTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export function createVirtualClock(startMs: number): VirtualClock {
  let nowMs = startMs
  let order = 0
  let eventCount = 0
  let heap: Waiting[] = []

  const after = (delayMs: number, call: () => void): (() => void) => {
    const waiting: Waiting = { atMs: nowMs + Math.max(0, delayMs), order, call }
    order += 1
    push(heap, waiting)
    return () => {
      waiting.call = null
    }
  }

  return {
    get nowMs() {
      return nowMs
    },
    get eventCount() {
      return eventCount
    },
    after,
    pass: (delayMs) => new Promise((resolve) => after(delayMs, resolve)),
    settle: realTurn,
    async step() {
      for (let next = pop(heap); next !== null; next = pop(heap)) {
        if (next.call === null) continue
        nowMs = next.atMs
        eventCount += 1
        next.call()
        await realTurn()
        return true
      }
      return false
    },
    forgetAll() {
      heap = []
    },
  }
}

const isBefore = (a: Waiting, b: Waiting): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

function push(heap: Waiting[], added: Waiting): void {
  let at = heap.length
  while (at > 0) {
    const parentAt = (at - 1) >> 1
    const parent = heap[parentAt] as Waiting
    if (!isBefore(added, parent)) break
    heap[at] = parent
    at = parentAt
  }
  heap[at] = added
}

function pop(heap: Waiting[]): Waiting | null {
  const first = heap[0]
  const last = heap.pop()
  if (first === undefined || last === undefined) return null
  if (heap.length > 0) sink(heap, last)
  return first
}

function sink(heap: Waiting[], moved: Waiting): void {
  let at = 0
  for (;;) {
    let childAt = 2 * at + 1
    if (childAt >= heap.length) break
    const [left, right] = [heap[childAt] as Waiting, heap[childAt + 1]]
    if (right !== undefined && isBefore(right, left)) childAt += 1
    const child = heap[childAt] as Waiting
    if (!isBefore(child, moved)) break
    heap[at] = child
    at = childAt
  }
  heap[at] = moved
}

/**
 * Lets everything in this process tell the time by the clock, and returns what undoes it. The code
 * under test asks the global timers, as it does in the service.
 */
export function ruleTime(clock: VirtualClock): () => void {
  const { setTimeout, clearTimeout } = globalThis
  const { now } = performance
  const { timeout } = AbortSignal
  const dateNow = Date.now

  const virtualTimeout = (call: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) =>
    createTimer(clock, () => call(...given), ms)
  globalThis.setTimeout = virtualTimeout as unknown as typeof setTimeout
  globalThis.clearTimeout = ((timer: { stop?: () => void } | undefined) =>
    timer?.stop?.()) as typeof clearTimeout
  performance.now = () => clock.nowMs
  Date.now = () => Math.floor(clock.nowMs)
  AbortSignal.timeout = (ms) => {
    const controller = new AbortController()
    clock.after(ms, () => controller.abort(new DOMException('Too late', 'TimeoutError')))
    return controller.signal
  }
  return () => {
    Object.assign(globalThis, { setTimeout, clearTimeout })
    performance.now = now
    Date.now = dateNow
    AbortSignal.timeout = timeout
  }
}

/** As much of Node's timers as this project uses. */
function createTimer(clock: VirtualClock, call: () => void, ms: number) {
  let stop = clock.after(ms, call)
  const timer = {
    stop: () => stop(),
    unref: () => timer,
    ref: () => timer,
    refresh() {
      stop()
      stop = clock.after(ms, call)
      return timer
    },
  }
  return timer
}
