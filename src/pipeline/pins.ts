/**
 * Prefixes that people keep. The store remembers them over restarts, the cache keeps them from
 * eviction; a pin whose prefix is not stored waits until it is.
 */
import {
  type BlockHash,
  type Cache,
  type CachedBlock,
  describePrefix,
  type Namespace,
  type PinRefusal,
  type RecordKind,
  type TierName,
} from '../../cache/index.ts'
import type { Pin, PinStore } from '../catalog/types.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import { findPin, pinsNamed } from './find-prefix.ts'
import type { PinList, PinSummary } from './types.ts'

export interface PinContext {
  readonly cache: Cache
  readonly store: PinStore
  readonly modelOf: (namespace: Namespace) => string
  readonly kindsOf: (namespace: Namespace) => readonly RecordKind[]
  /** Throws where an id names no prefix, or several. */
  readonly find: (id: string) => CachedBlock
  readonly now: () => number
  readonly warn: (message: string, error: unknown) => void
}

export interface Pins {
  list(): PinList
  /** Null: until it is unpinned. Replaces the pin of the same prefix. */
  pin(id: string, ttlMs: number | null): Promise<PinSummary>
  /** The pin that has gone; `id` may be the beginning of its id. */
  unpin(id: string): Promise<PinSummary>
  /** As `unpin`, of blocks' whole names; those that are not pinned are left alone. */
  forget(hashes: readonly BlockHash[]): Promise<void>
}

const tierNames: readonly TierName[] = ['ram', 'ssd']
const mebibyte = 1024 ** 2

export function createPins(context: PinContext): Pins {
  const { cache, store, now } = context

  /** By what the layout of the block has; of one that is not stored, nobody knows. */
  const keep = ({ hash, untilMs }: Pin): PinRefusal | null => {
    const block = cache.index.get(hash as BlockHash)
    const isExact = block === undefined || context.kindsOf(block.namespace).length > 1
    return cache.pin(hash as BlockHash, { untilMs, isExact })
  }

  /** Those that are over stay in the store until the next change. */
  function current(): Pin[] {
    const nowMs = now()
    return store.all().filter(({ untilMs }) => untilMs === null || untilMs > nowMs)
  }

  let changing: Promise<unknown> = Promise.resolve()
  /** A change begins with what the one before it has left. */
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = changing.then(change)
    changing = changed.catch(() => {})
    return changed
  }

  function summarise({ hash, untilMs, createdAtMs }: Pin): PinSummary {
    const block = cache.index.get(hash as BlockHash)
    const isKept = cache.keeping.pinned(hash as BlockHash) !== null
    const info = block && describePrefix(block, context.kindsOf(block.namespace))
    return {
      id: hash.slice(0, 12),
      model: block === undefined ? null : context.modelOf(block.namespace),
      tokens: info?.tokenCount ?? null,
      sizeBytes: info?.sizeBytes ?? null,
      state: isKept ? 'kept' : block === undefined ? 'not_stored' : 'no_room',
      untilMs,
      createdAtMs,
    }
  }

  /** Of a prefix that is stored, or of a pin that waits for one. */
  function hashOf(id: string): string {
    try {
      return context.find(id).hash
    } catch (error) {
      const isUnknown = (error as PrefixdError).code === 'PREFIXD_E_PREFIX_NOT_FOUND'
      const [waiting, ...others] = isUnknown ? pinsNamed(current(), id) : []
      if (waiting === undefined || others.length > 0) throw error
      return waiting.hash
    }
  }

  async function forget(hashes: readonly string[]): Promise<void> {
    const gone = new Set(hashes)
    if (gone.size === 0) return
    await store.replace(current().filter(({ hash }) => !gone.has(hash)))
    for (const hash of gone) cache.keeping.unpin(hash as BlockHash)
  }

  async function pin(id: string, ttlMs: number | null): Promise<PinSummary> {
    const hash = hashOf(id)
    const pins = current()
    const before = pins.find((pin) => pin.hash === hash)
    if (before === undefined && pins.length >= limits.pins) throw tooMany()
    const untilMs = ttlMs === null ? null : now() + ttlMs
    const pin = { hash, untilMs, createdAtMs: before?.createdAtMs ?? now() }
    const refused = keep(pin)
    if (refused !== null) throw noRoom(refused)
    try {
      await store.replace([...pins.filter((other) => other !== before), pin])
    } catch (error) {
      // A pin that a restart forgets is none.
      cache.keeping.unpin(hash as BlockHash)
      if (before !== undefined) keep(before)
      throw error
    }
    return summarise(pin)
  }

  async function unpin(id: string): Promise<PinSummary> {
    const pin = findPin(current(), id)
    const summary = summarise(pin)
    await forget([pin.hash])
    return summary
  }

  for (const pin of current()) {
    const refused = keep(pin)
    if (refused === null) continue
    context.warn(`the pin of ${pin.hash.slice(0, 12)} keeps nothing: ${why(refused)}`, null)
  }

  return {
    list: () => ({
      pins: current().map(summarise),
      tiers: tierNames.map((tier) => ({ tier, ...cache.keeping.room(tier) })),
    }),
    pin: (id, ttlMs) => inTurn(() => pin(id, ttlMs)),
    unpin: (id) => inTurn(() => unpin(id)),
    forget: (hashes) => inTurn(() => forget(hashes)),
  }
}

/** Until people unpin something, or the tiers grow. */
function why({ tier, pinnedBytes, wantedBytes, mostBytes }: PinRefusal): string {
  const size = (bytes: number): string => `${Math.ceil(bytes / mebibyte)} MiB`
  return (
    `${size(pinnedBytes)} of the ${tier} are pinned, this takes ${size(wantedBytes)} more, and ` +
    `pins may take ${size(mostBytes)}, half of it`
  )
}

const noRoom = (refusal: PinRefusal): PrefixdError =>
  new PrefixdError('PREFIXD_E_PIN_LIMIT', `The prefix cannot be pinned: ${why(refusal)}.`, {
    field: 'id',
    next: 'See what is pinned with `prefixd pin`, and unpin some, or give the tier more room.',
  })

const tooMany = (): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_PIN_LIMIT',
    `${limits.pins} prefixes are pinned, which is the most.`,
    {
      field: 'id',
      next: 'See what is pinned with `prefixd pin`, and unpin some of it.',
    },
  )
