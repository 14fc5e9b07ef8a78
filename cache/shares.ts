/**
 * What the namespaces hold of each tier, and what groups of them may hold at most: those of one
 * model, or of one tenant. A group at its limit makes room for what it adds from its own. Pure
 * accounting: who goes is decided elsewhere.
 */
import type { Namespace, ShareLimits, ShareUsage, TierName } from './types.ts'

export interface SharesOptions {
  /** What a tier has for all. */
  readonly capacityBytes: (tier: TierName) => number
}

export interface Group {
  readonly name: string
  has(namespace: Namespace): boolean
}

interface CountedGroup extends Group {
  readonly limits: ShareLimits
  readonly members: Set<Namespace>
  readonly bytes: Record<TierName, number>
}

interface Holding {
  readonly bytes: Record<TierName, number>
  groups: readonly CountedGroup[]
}

const tierNames = ['ram', 'ssd'] as const

export class Shares {
  readonly #options: SharesOptions
  readonly #holdings = new Map<Namespace, Holding>()
  #limits: ReadonlyMap<string, ShareLimits> = new Map()
  readonly #groups = new Map<string, CountedGroup>()
  #groupsOf: (namespace: Namespace) => readonly string[] = () => []

  constructor(options: SharesOptions) {
    this.#options = options
  }

  /** Whose each namespace is: names of groups as `kind:name`. */
  groupBy(groupsOf: (namespace: Namespace) => readonly string[]): void {
    this.#groupsOf = groupsOf
    this.limit(this.#limits)
  }

  /** Takes the place of all limits before. `kind:*` is for each group that has none of its own. */
  limit(limits: ReadonlyMap<string, ShareLimits>): void {
    this.#limits = limits
    this.#groups.clear()
    for (const [namespace, holding] of this.#holdings) this.#join(namespace, holding)
  }

  /** It is known by now, or better, whose this namespace is. */
  regroup(namespace: Namespace): void {
    const holding = this.#holdings.get(namespace)
    if (holding === undefined) return
    this.#leave(namespace, holding)
    this.#join(namespace, holding)
  }

  /** So many bytes of the tier have become this namespace's; negative: are no longer. */
  count(namespace: Namespace, tier: TierName, bytes: number): void {
    if (bytes === 0) return
    const holding = this.#holdingOf(namespace)
    holding.bytes[tier] += bytes
    for (const group of holding.groups) group.bytes[tier] += bytes
    if (tierNames.some((each) => holding.bytes[each] !== 0)) return
    this.#leave(namespace, holding)
    this.#holdings.delete(namespace)
  }

  /** The group that would have too much with so many bytes more; null: none would. */
  exceeded(namespace: Namespace, tier: TierName, moreBytes: number): Group | null {
    if (this.#limits.size === 0) return null
    const groups = this.#holdings.get(namespace)?.groups ?? this.#named(namespace)
    return groups.find((group) => this.#excess(group, tier) + moreBytes > 0) ?? null
  }

  /** A group that has too much: its share, or the tier, has become smaller. Null: none has. */
  surplus(tier: TierName): Group | null {
    for (const group of this.#groups.values()) if (this.#excess(group, tier) > 0) return group
    return null
  }

  /** What a namespace may have of a tier, others of its groups included. */
  mostBytes(namespace: Namespace, tier: TierName): number {
    const capacityBytes = this.#options.capacityBytes(tier)
    if (this.#limits.size === 0) return capacityBytes
    const groups = this.#holdings.get(namespace)?.groups ?? this.#named(namespace)
    const limits = groups.map((group) => this.#limitBytes(group, tier) ?? capacityBytes)
    return Math.min(capacityBytes, ...limits)
  }

  /** By how much a group has more than it may; negative: as much may come. */
  excessBytes({ name }: Group, tier: TierName): number {
    const group = this.#groups.get(name)
    return group === undefined ? Number.NEGATIVE_INFINITY : this.#excess(group, tier)
  }

  /** Of each group that has a limit and holds something, and of those that are named. */
  usage(): ShareUsage[] {
    const idle = [...this.#limits]
      .filter(([name]) => !name.endsWith(':*') && !this.#groups.has(name))
      .map(([name, limits]) => createGroup(name, limits))
    return [...this.#groups.values(), ...idle].map((group) => ({
      name: group.name,
      usedBytes: { ...group.bytes },
      mostBytes: {
        ram: this.#limitBytes(group, 'ram'),
        ssd: this.#limitBytes(group, 'ssd'),
      },
    }))
  }

  /** What each namespace holds, of those that hold something. */
  *held(): Generator<readonly [Namespace, Readonly<Record<TierName, number>>]> {
    for (const [namespace, { bytes }] of this.#holdings) yield [namespace, bytes]
  }

  #holdingOf(namespace: Namespace): Holding {
    const known = this.#holdings.get(namespace)
    if (known !== undefined) return known
    const holding: Holding = { bytes: { ram: 0, ssd: 0 }, groups: [] }
    this.#holdings.set(namespace, holding)
    this.#join(namespace, holding)
    return holding
  }

  #named(namespace: Namespace): CountedGroup[] {
    if (this.#limits.size === 0) return []
    return this.#groupsOf(namespace).flatMap((name) => this.#groupOf(name) ?? [])
  }

  #groupOf(name: string): CountedGroup | null {
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const kind = name.slice(0, name.indexOf(':'))
    const limits = this.#limits.get(name) ?? this.#limits.get(`${kind}:*`)
    if (limits === undefined) return null
    const group = createGroup(name, limits)
    this.#groups.set(name, group)
    return group
  }

  #join(namespace: Namespace, holding: Holding): void {
    holding.groups = this.#named(namespace)
    for (const { members, bytes } of holding.groups) {
      members.add(namespace)
      for (const tier of tierNames) bytes[tier] += holding.bytes[tier]
    }
  }

  #leave(namespace: Namespace, holding: Holding): void {
    for (const { members, bytes } of holding.groups) {
      members.delete(namespace)
      for (const tier of tierNames) bytes[tier] -= holding.bytes[tier]
    }
    for (const { name, members } of holding.groups)
      if (members.size === 0) this.#groups.delete(name)
    holding.groups = []
  }

  #excess(group: CountedGroup, tier: TierName): number {
    const limitBytes = this.#limitBytes(group, tier)
    return limitBytes === null ? Number.NEGATIVE_INFINITY : group.bytes[tier] - limitBytes
  }

  #limitBytes({ limits }: CountedGroup, tier: TierName): number | null {
    const amount = limits[tier]
    if (amount === null) return null
    const capacityBytes = this.#options.capacityBytes(tier)
    if ('bytes' in amount) return Math.min(amount.bytes, capacityBytes)
    return Math.floor(amount.part * capacityBytes)
  }
}

function createGroup(name: string, limits: ShareLimits): CountedGroup {
  const members = new Set<Namespace>()
  return {
    name,
    limits,
    members,
    bytes: { ram: 0, ssd: 0 },
    has: (namespace) => members.has(namespace),
  }
}
