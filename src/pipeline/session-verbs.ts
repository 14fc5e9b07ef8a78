/**
 * What an agent says of its session: that it waits for a tool, comes back, branches, or is over.
 * All of it is about keeping a prefix or letting it go; requests need none of these.
 */
import {
  type Cache,
  type CachedBlock,
  describePrefix,
  findByBeginning,
  type Namespace,
  prefixIdOf,
  type RecordKind,
  uniqueRun,
} from '../../cache/index.ts'
import { limits } from '../config/limits.ts'
import { sumBytes } from './evict.ts'
import type { Session, Sessions } from './sessions.ts'
import type { SessionAdmin, SessionName, SessionSummary } from './types.ts'

export interface SessionContext {
  readonly cache: Cache
  readonly sessions: Sessions
  readonly kindsOf: (namespace: Namespace) => readonly RecordKind[]
  readonly now: () => number
  /** It is over, also for a later run. */
  readonly onEnded: (session: SessionName) => void
}

export function createSessionVerbs(context: SessionContext): SessionAdmin {
  const { cache, sessions, kindsOf, now } = context
  const isExact = ({ namespace }: CachedBlock) => kindsOf(namespace).length > 1

  /** Where the session's latest prompt ended; null: it is not stored any more. */
  function blockOf({ prefix }: Session): CachedBlock | null {
    if (prefix === null) return null
    return findByBeginning(cache.index, prefix, 1)[0] ?? null
  }

  function keepInRam(block: CachedBlock, ms: number): void {
    const wish = { untilMs: now() + ms, isExact: isExact(block) }
    cache.keeping.hint(block.hash, wish, true)
  }

  function summarise(session: Session): SessionSummary {
    const block = blockOf(session)
    const info = block && describePrefix(block, kindsOf(block.namespace))
    return {
      ...session,
      tokens: info?.tokenCount ?? null,
      tiers: info?.tiers ?? [],
      keptInRamUntilMs: block && cache.keeping.inRamUntil(block.hash),
    }
  }

  /** Of its prefix what no other prefix shares, and no other session goes on from. */
  function ownBlocks(session: Session, end: CachedBlock): CachedBlock[] {
    const others = new Set(
      sessions.list().flatMap((other) => (other === session ? [] : (other.prefix ?? []))),
    )
    const own: CachedBlock[] = []
    if (end.children.size > 0) return own
    for (const block of uniqueRun(end, kindsOf(end.namespace))) {
      if (others.has(prefixIdOf(block)) || cache.keeping.isPinned(block)) break
      own.push(block)
    }
    return own
  }

  return {
    list: (tenant) => sessions.list(tenant).map(summarise),
    pause(name, etaMs) {
      const session = sessions.get(name)
      const block = blockOf(session)
      if (block !== null) keepInRam(block, etaMs ?? limits.sessionPauseMs)
      return summarise(session)
    },
    async resume(name, signal) {
      const session = sessions.get(name)
      const block = blockOf(session)
      if (block === null) return { ...summarise(session), readBytes: 0 }
      // What comes back must not go again before its request is here.
      keepInRam(block, limits.sessionResumeMs)
      const readBytes = await cache.readBack(block, isExact(block), signal)
      return { ...summarise(session), readBytes }
    },
    fork(name, newId) {
      const session = sessions.fork(name, newId)
      const block = blockOf(session)
      const untilMs = now() + limits.sessionForkMs
      if (block !== null) cache.keeping.hint(block.hash, { untilMs, isExact: isExact(block) })
      return summarise(session)
    },
    async end(name, evict) {
      const session = sessions.get(name)
      const end = blockOf(session)
      const own = end === null ? [] : ownBlocks(session, end)
      for (const { hash } of own) cache.keeping.dropHints(hash)
      const records = own.flatMap((block) => block.records)
      const there = sumBytes(cache, records)
      const summary = summarise(session)
      if (evict) await cache.evict(own, null)
      else cache.demote(own)
      sessions.forget(name)
      context.onEnded(name)
      const left = sumBytes(cache, records)
      const freedBytes = { ram: there.ram - left.ram, ssd: there.ssd - left.ssd }
      return { ...summary, ownBytes: there, freedBytes }
    },
  }
}
