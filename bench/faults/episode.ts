/**
 * One store, many lives of the service on it, and whatever can go wrong between and in them. All of
 * it follows from the random numbers, so that the same ones give the same history.
 */
import type { SsdTier } from '../../cache/tiers/tier.ts'
import type { Random } from '../random.ts'
import { createColdEngine, createConversations } from './conversations.ts'
import { type EpisodeCounts, noCounts } from './counts.ts'
import { leaksOf, overBudget } from './invariants.ts'
import type { Journal } from './journal.ts'
import { createMishaps, pressureBytes } from './mishaps.ts'
import { otherSalt, type Profile, pickProfile } from './profile.ts'
import { type Acknowledged, createPromises } from './promises.ts'
import { createDesk, type Wanted } from './requests.ts'
import { openService, type ServiceLife, workerOptions } from './service-life.ts'
import { createShareWatch, nearShare, overShare } from './share-watch.ts'
import { createStore } from './store.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface EpisodeOptions {
  readonly clock: VirtualClock
  readonly random: Random
  readonly journal: Journal
  readonly hash64: (bytes: Uint8Array) => bigint
  readonly spoil: (tier: SsdTier) => SsdTier
}

export interface Episode {
  readonly profile: Profile
  readonly counts: Readonly<EpisodeCounts>
  /** Throws BrokenPromise. */
  step(): Promise<void>
  /** Lets everything end, and looks at the books and at what was promised. */
  audit(): Promise<void>
}

/** Nothing takes so many events unless it never ends. */
const patienceEvents = 100_000
const requestsMax = 6
const auditedPromises = 6

export async function beginEpisode(options: EpisodeOptions): Promise<Episode> {
  const { clock, random, journal } = options
  const profile = pickProfile(random)
  journal.note(`episode: ${JSON.stringify(profile)}`)
  const promises = createPromises(options.hash64)
  const store = createStore({ ...options, profile, promises })
  const desk = createDesk(journal, await createColdEngine(workerOptions(profile)), promises)
  const conversations = createConversations(random, profile.promptTokensMax)
  const counts: EpisodeCounts = { ...noCounts }
  const mishaps = createMishaps({ random, journal, profile, store, desk, counts })
  const shares = createShareWatch(counts)
  let life: ServiceLife | null = null

  /** One event, and what must hold at any time. */
  async function turn(): Promise<boolean> {
    const hasTurned = await clock.step()
    if (life !== null) {
      store.mayEvict ||=
        life.tier.freeBytes() < pressureBytes || nearShare(life.cache, 'ssd', pressureBytes)
      for (const wrong of [...overBudget(life), ...shares.look(life.cache)]) journal.broken(wrong)
    }
    journal.check()
    return hasTurned
  }

  async function turns(count: number): Promise<void> {
    await clock.settle()
    for (let left = count; left > 0 && (await turn()); left -= 1);
  }

  /** Lets time pass until it settles. */
  async function until<T>(promise: Promise<T>, what: string): Promise<T> {
    const outcome: { settled: boolean } = { settled: false }
    const settled = promise.finally(() => {
      outcome.settled = true
    })
    settled.catch(() => {})
    await clock.settle()
    const limit = clock.eventCount + patienceEvents
    while (!outcome.settled) {
      if (!(await turn()) || clock.eventCount > limit) journal.broken(`${what} never ends`)
      journal.check()
    }
    return settled
  }

  async function open(): Promise<ServiceLife> {
    shares.forget()
    const opening = openService({ ...options, profile, openTier: store.openTier })
    life = await until(opening, 'opening the store')
    journal.note(`open: ${life.cache.index.blockCount} blocks`)
    const refillFailed = (error: unknown): void => journal.broken(`the refill failed: ${error}`)
    if (random.next() < 0.5) void life.refill(AbortSignal.timeout(10_000)).catch(refillFailed)
    return life
  }

  /** The process dies between two events, which is at any await of anybody. */
  async function die(powerFails: boolean): Promise<void> {
    // Whatever waits for no time has happened before.
    await clock.settle()
    journal.note(powerFails ? 'the power fails' : 'kill -9')
    if (powerFails) counts.powerCuts += 1
    else counts.kills += 1
    life = null
    clock.forgetAll()
    desk.forgetAll()
    store.die(powerFails)
  }

  async function crash(powerFails: boolean): Promise<void> {
    await die(powerFails)
    // Some die again while they open.
    if (random.next() < 0.2) {
      void openService({ ...options, profile, openTier: store.openTier }).catch(() => {})
      await turns(random.integer(0, 12))
      await die(false)
    }
    await open()
  }

  async function idle(): Promise<void> {
    const limit = clock.eventCount + patienceEvents
    while (desk.running.size > 0) {
      if (!(await turn()) || clock.eventCount > limit) {
        journal.broken(`${desk.running.size} requests never end`)
      }
      journal.check()
    }
    if (life !== null) await until(life.cache.flush(), 'the flush')
    // Reads ahead and uses that are written in batches.
    const untilMs = clock.nowMs + 15_000
    while (clock.nowMs < untilMs && (await turn()));
  }

  async function audit(): Promise<void> {
    counts.audits += 1
    store.heal()
    await idle()
    const service = life
    if (service === null) return
    await resizeBack(service)
    await until(service.cache.budgets.evictSurplus(), 'the way down to the shares')
    for (const wrong of overShare(service.cache)) journal.broken(wrong)
    for (const leak of leaksOf(service, store)) journal.broken(`leak: ${leak}`)
    journal.check()
    const asked = new Set<Acknowledged>()
    for (let i = 0; i < Math.min(auditedPromises, promises.all.length); i += 1) {
      asked.add(random.pick(promises.all))
    }
    for (const promise of asked) await collect(service, promise)
  }

  /** Asks for a promised prefix with one more token, so that all of it can be restored. */
  async function collect(service: ServiceLife, promise: Acknowledged): Promise<void> {
    const { tokens, salt } = promise
    const { tokenCount: owed, isWhole } = promises.owed(promise)
    const wanted = { prompt: Uint32Array.from([...tokens, 7]), answerTokens: 3, salt }
    const how = { read: true, write: false, spill: true, choices: 1, ttlMs: null }
    const judged = desk.send(service, { ...wanted, ...how }, true)
    const { receipt } = await until(judged, 'an audited request')
    counts.asked += 1
    if (isWhole) counts.askedWhole += 1
    const restored = receipt?.restoredTokens ?? 0
    counts.restoredTokens += restored
    // What is restored to boundaries only may have lost any of them.
    const least = isWhole || profile.layout === 'kv' ? owed : 0
    if (receipt === null || restored < least) {
      const reasons = receipt?.reasons.join('; ') ?? 'no receipt'
      journal.broken(`${restored} of ${owed} tokens of ${promise.count} were found (${reasons})`)
    }
    journal.check()
  }

  function request(): void {
    if (life === null || desk.running.size >= requestsMax) return
    counts.requests += 1
    const wanted: Wanted = {
      prompt: conversations.nextPrompt(),
      answerTokens: random.integer(1, profile.answerTokensMax),
      salt: random.pick(['', '', otherSalt]),
      read: random.next() < 0.95,
      write: random.next() < 0.95,
      spill: random.next() < 0.9,
      choices: random.next() < 0.1 ? 2 : 1,
      ttlMs: random.next() < 0.1 ? random.integer(1_000, 600_000) : null,
    }
    void desk.send(life, wanted).then(({ receipt, answer }) => {
      counts.restoredTokens += receipt?.restoredTokens ?? 0
      const count = random.integer(0, answer.length)
      conversations.remember(Uint32Array.from([...wanted.prompt, ...answer.subarray(0, count)]))
    })
  }

  async function evict(): Promise<void> {
    const blocks = [...(life?.cache.index.blocks() ?? [])]
    if (life === null || blocks.length === 0) return
    const victim = random.pick(blocks)
    const tier = random.pick(['ram', 'ssd', null] as const)
    journal.note(`evict ${victim.hash} and all below it from ${tier ?? 'both tiers'}`)
    const leaving = [...life.cache.index.subtree(victim)]
    // Also where the disk refuses to let them go now, and they go later.
    for (const { hash, records } of leaving) {
      for (const { kind } of records) store.excuse(`${hash}:${kind}`)
    }
    await until(life.cache.evict(leaving, tier), 'an eviction')
  }

  async function resizeBack({ cache: { budgets } }: ServiceLife): Promise<void> {
    await until(budgets.resizeRam(profile.ramBytes), 'the RAM tier’s old size')
    await until(budgets.resizeSsd(profile.ssdBytes), 'the SSD tier’s old size')
  }

  async function restart(): Promise<void> {
    store.heal()
    await idle()
    journal.note('a clean restart')
    if (life !== null) await until(life.close(), 'closing')
    life = null
    clock.forgetAll()
    await open()
  }

  const actions: readonly (readonly [weight: number, action: () => Promise<void> | void])[] = [
    [50, request],
    [12, () => turns(random.integer(50, 400))],
    [5, mishaps.leave],
    [3, () => mishaps.killWorker(life)],
    [3, () => crash(false)],
    [1, () => crash(profile.rots)],
    [profile.rots ? 4 : 0, mishaps.rot],
    [4, mishaps.worsen],
    [6, () => void store.heal()],
    [2, evict],
    [2, () => mishaps.resize(life)],
    [1, () => mishaps.redivide(life)],
    [1, restart],
    [3, audit],
  ]
  const bag = actions.flatMap(([weight, action]) => Array.from({ length: weight }, () => action))

  await open()
  return {
    profile,
    counts,
    audit,
    async step() {
      await random.pick(bag)()
      await turns(random.integer(0, 40))
    },
  }
}
