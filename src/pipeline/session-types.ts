/** What is told of sessions, and what may be asked of them. Types only. */
import type { TierName } from '../../cache/types.ts'

/** One key's client says nothing of another's sessions, whatever their ids. */
export interface SessionName {
  readonly tenant: string | null
  readonly id: string
}

export interface SessionSummary extends SessionName {
  readonly model: string
  /** Where its latest prompt ended; null: nothing of that was stored. */
  readonly prefix: string | null
  /** Of that prefix; null and none where it is not stored any more. */
  readonly tokens: number | null
  readonly tiers: readonly TierName[]
  /** Null: nothing keeps it in RAM. */
  readonly keptInRamUntilMs: number | null
  readonly usedAtMs: number
  readonly forkedFrom: string | null
}

/** All but `list` throw `PREFIXD_E_SESSION_NOT_FOUND`. */
export interface SessionAdmin {
  /** Absent: of every tenant. The latest first. */
  list(tenant?: string | null): readonly SessionSummary[]
  /** Keeps its prefix in RAM for so long; null: for a usual time. */
  pause(name: SessionName, etaMs: number | null): SessionSummary
  /** Resolves when its prefix is in RAM, as far as there is room. */
  resume(
    name: SessionName,
    signal: AbortSignal,
  ): Promise<SessionSummary & { readonly readBytes: number }>
  /** Throws `PREFIXD_E_INVALID_VALUE` where another session has the new id. */
  fork(name: SessionName, newId: string): SessionSummary
  /** What only this session has goes first from now on, or at once. */
  end(name: SessionName, evict: boolean): Promise<SessionEnd>
}

export interface SessionEnd extends SessionSummary {
  /** What only this session had. */
  readonly ownBytes: Readonly<Record<TierName, number>>
  readonly freedBytes: Readonly<Record<TierName, number>>
}
