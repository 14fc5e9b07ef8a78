/**
 * The cache's own doings as they happen, under vLLM's three names (docs.vllm.ai, "KV events").
 *
 * copies come and go ──▶ one batch a `flushMs` ──▶ at most `eventsWaiting` wait for each reader
 *
 * Nobody is waited for: what a slow reader misses is counted, and it is told how many.
 */
import type { CachedRecord, Namespace, RecordKind, TierName } from '../../cache/index.ts'
import { PrefixdError } from '../errors.ts'
import type { CacheEvent } from './cache-event-types.ts'

export interface CacheEventsOptions {
  readonly flushMs: number
  readonly hashesPerEvent: number
  readonly eventsWaiting: number
  readonly readersMax: number
  readonly isEmpty: () => boolean
  readonly modelOf: (namespace: Namespace) => string
  readonly now: () => number
}

export interface CacheEvents {
  onStored(record: CachedRecord, tier: TierName): void
  onRemoved(record: CachedRecord, tier: TierName): void
  /**
   * What happens from now on, until the signal ends it; its reason is not thrown. Throws
   * `PREFIXD_E_TOO_MANY_READERS`.
   */
  follow(signal: AbortSignal): AsyncGenerator<CacheEvent>
}

/** Of a chain whose blocks come one by one, as long as nothing else happens between them. */
interface Run {
  readonly type: 'BlockStored' | 'BlockRemoved'
  readonly tier: TierName
  readonly kind: RecordKind
  readonly namespace: Namespace
  readonly hashes: string[]
  readonly parent: string | null
  tokenCount: number
}

export function createCacheEvents(options: CacheEventsOptions): CacheEvents {
  const readers = new Set<Reader>()
  let runs: Run[] = []
  let timer: NodeJS.Timeout | null = null

  function note(type: Run['type'], { block, kind }: CachedRecord, tier: TierName): void {
    if (readers.size === 0) return
    const { hash, namespace, index, tokenCount } = block
    const parent = index === 0 ? null : block.parent.hash
    const last = runs.at(-1)
    const isSame =
      last?.type === type &&
      last.tier === tier &&
      last.kind === kind &&
      last.namespace === namespace &&
      last.hashes.length < options.hashesPerEvent
    // Who leaves goes from the end of a chain to its beginning, and in no order that matters.
    if (isSame && (type === 'BlockRemoved' || last.hashes.at(-1) === parent)) {
      last.hashes.push(hash)
      last.tokenCount += tokenCount
    } else {
      runs.push({ type, tier, kind, namespace, hashes: [hash], parent, tokenCount })
    }
    if (runs.length >= options.eventsWaiting) flush()
    timer ??= setTimeout(flush, options.flushMs).unref()
  }

  function flush(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    const atMs = options.now()
    const events = runs.map((run) => eventOf(run, atMs))
    const isLast = runs.some(({ type }) => type === 'BlockRemoved') && options.isEmpty()
    if (isLast) events.push({ type: 'AllBlocksCleared', atMs })
    runs = []
    for (const reader of readers) for (const event of events) reader.take(event)
  }

  const eventOf = ({ type, tier, kind, namespace, ...run }: Run, atMs: number): CacheEvent => {
    const shared = { atMs, medium: tier, kind, model: options.modelOf(namespace) }
    if (type === 'BlockRemoved') return { type, ...shared, blockHashes: run.hashes }
    const { hashes, parent, tokenCount } = run
    return { type, ...shared, blockHashes: hashes, parentBlockHash: parent, tokenCount }
  }

  function enrol(signal: AbortSignal): Reader {
    if (readers.size >= options.readersMax) {
      throw new PrefixdError(
        'PREFIXD_E_TOO_MANY_READERS',
        `${readers.size} clients follow the events already, and no more may.`,
        { next: 'End one of them, and try again.' },
      )
    }
    const reader = new Reader(options)
    readers.add(reader)
    // A generator that nobody has begun to read runs no `finally`.
    signal.addEventListener('abort', () => readers.delete(reader), { once: true })
    return reader
  }

  async function* read(reader: Reader, signal: AbortSignal): AsyncGenerator<CacheEvent> {
    try {
      while (!signal.aborted) yield* await reader.next(signal)
    } finally {
      readers.delete(reader)
    }
  }

  return {
    onStored: (record, tier) => note('BlockStored', record, tier),
    onRemoved: (record, tier) => note('BlockRemoved', record, tier),
    follow: (signal) => read(enrol(signal), signal),
  }
}

class Reader {
  readonly #options: Pick<CacheEventsOptions, 'eventsWaiting' | 'now'>
  #waiting: CacheEvent[] = []
  #missedCount = 0
  #wake: (() => void) | null = null

  constructor(options: Pick<CacheEventsOptions, 'eventsWaiting' | 'now'>) {
    this.#options = options
  }

  take(event: CacheEvent): void {
    if (this.#waiting.length < this.#options.eventsWaiting) this.#waiting.push(event)
    else this.#missedCount++
    this.#wake?.()
  }

  /** All that waits; empty when the signal came first. */
  async next(signal: AbortSignal): Promise<readonly CacheEvent[]> {
    if (this.#waiting.length === 0 && !signal.aborted) await this.#event(signal)
    const events = this.#waiting
    this.#waiting = []
    if (this.#missedCount === 0) return events
    const count = this.#missedCount
    this.#missedCount = 0
    return [...events, { type: 'EventsMissed', atMs: this.#options.now(), count }]
  }

  #event(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wake = null
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#wake = done
      signal.addEventListener('abort', done)
    })
  }
}
