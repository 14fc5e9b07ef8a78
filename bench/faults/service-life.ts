/**
 * One life of the service in this process: the real pipeline over the real cache and supervisor,
 * with the fake engine's worker. The SSD tier and the time come from outside.
 */
import { createHash } from 'node:crypto'
import { Cache, type Namespace, namespaceOf, type Rates } from '../../cache/index.ts'
import { createArena } from '../../cache/tiers/arena.ts'
import type { Arena, SsdTier } from '../../cache/tiers/tier.ts'
import { superviseEngine } from '../../engines/supervisor.ts'
import type { Engine, WorkerOptions } from '../../engines/types.ts'
import type { WorkerLife } from '../../engines/worker-life.ts'
import { limits } from '../../src/config/limits.ts'
import { generate } from '../../src/pipeline/generate.ts'
import { createPrefetch } from '../../src/pipeline/prefetch.ts'
import { createRateMeter, type RateMeter } from '../../src/pipeline/rates.ts'
import type { GenerateEvent, GenerateRequest } from '../../src/pipeline/types.ts'
import type { Random } from '../random.ts'
import type { Journal } from './journal.ts'
import { blockTokens, contextTokens, otherSalt, type Profile, type Shares } from './profile.ts'
import { diedOfFault, startLife, type WorkerClock } from './worker-life.ts'

export interface World {
  readonly clock: WorkerClock
  readonly random: Random
  readonly journal: Pick<Journal, 'note' | 'broken'>
  readonly profile: Profile
  readonly hash64: (bytes: Uint8Array) => bigint
  readonly openTier: (warn: (message: string) => void) => Promise<SsdTier>
}

export interface ServiceLife {
  readonly cache: Cache
  readonly engine: Engine
  readonly tier: SsdTier
  /** `isPatient`: whatever a restore takes, it is preferred to computing. */
  generate(
    request: GenerateRequest,
    signal: AbortSignal,
    isPatient?: boolean,
  ): AsyncGenerator<GenerateEvent>
  namespaceFor(salt: string): Namespace
  /** As the service does when it starts, and when an operator asks. */
  divide(shares: Shares): void
  killWorker(): void
  /** Fills the RAM tier again; stops with the signal. */
  refill(signal: AbortSignal): Promise<unknown>
  close(): Promise<void>
}

export const workerOptions = ({ layout, bytesPerToken, ...profile }: Profile): WorkerOptions => ({
  modelPath: 'fake',
  contextTokens,
  sequences: profile.sequences,
  threads: 1,
  blockTokens,
  reuse: profile.reuse,
  engine: { layout, bytesPerToken },
})

const weightsDigest = createHash('sha256').update('weights').digest('hex')

export async function openService(world: World): Promise<ServiceLife> {
  const { clock, journal, profile } = world
  const arena = createArena({ sizeBytes: profile.ramBytes, shared: false })
  // The kernel's part of it takes real time.
  Object.assign(arena, { giveBack: async () => true, async *warmUp() {} })
  const warn = (message: string, error: unknown) =>
    journal.note(`warn: ${message}${error instanceof Error ? `: ${error.message}` : ''}`)
  const tier = await world.openTier((message) => warn(message, null))
  const cache = new Cache({
    arena,
    ssd: tier,
    hash64: world.hash64,
    blockTokens,
    reuse: profile.reuse,
    boundaryTokens: 4 * blockTokens,
    boundaryShare: limits.boundaryShare,
    keptShare: limits.keptShare,
    keptHints: 8,
    eviction: profile.eviction,
    rememberedBlocks: 256,
    rememberedDamages: 16,
    restoreWindowBytes: limits.restoreWindowBytes,
    reserveWaitMs: limits.reserveWaitMs,
    ssdWritesPerDayBytes: null,
    ssdWritesInFlight: limits.ssdWritesInFlight,
    now: () => clock.nowMs,
    warn,
  })
  const { engine, life } = startEngine(world, arena)
  const info = await engine.ready()
  const namespaceFor = (salt: string): Namespace =>
    namespaceOf({ fingerprint: info.fingerprint, weightsDigest, blockTokens, salt })
  const divide = shareOut(cache, namespaceFor(otherSalt), warn)
  divide(profile.shares)
  const rates = createRateMeter()
  const prefetch = createPrefetch((error) => journal.broken(`reading ahead failed: ${error}`))
  return {
    cache,
    engine,
    tier,
    namespaceFor,
    divide,
    generate: (request, signal, isPatient = false) =>
      generate(
        request,
        {
          engine,
          cache,
          reuse: profile.reuse,
          namespaceOf: (_info, { cache: { salt } }) => namespaceFor(salt),
          rates: isPatient ? patientRates : rates,
          prefetch,
          onAnswered() {},
          onEnd() {},
          onRestored(restored, plan) {
            if (restored.failure !== null) warn('a restore failed', restored.failure)
            if (plan.tier !== null) rates.restored(plan.tier, restored.sizeBytes, restored.workMs)
            if (plan.miss?.reason === 'restore_not_worth_it') rates.declined()
          },
        },
        signal,
      ),
    killWorker: () => life()?.kill(diedOfFault(), 'soon'),
    refill: (signal) =>
      cache.refill({
        warmBytes: warming(world, arena, signal),
        share: limits.refillShare,
        yieldMs: limits.refillYieldMs,
        isWanted: () => true,
      }),
    async close() {
      await engine.close(limits.drainMs)
      await cache.close()
    },
  }
}

/** Two tenants of one model; the namespace is that of b. */
function shareOut(
  cache: Cache,
  ofB: Namespace,
  warn: (message: string, error: unknown) => void,
): ServiceLife['divide'] {
  cache.shares.groupBy((namespace) => ['model:fake', namespace === ofB ? 'tenant:b' : 'tenant:a'])
  return (shares) => {
    cache.shares.limit(new Map(Object.entries(shares)))
    cache.budgets.evictSurplus().catch((error) => warn('a share could not be enforced', error))
  }
}

/** Nothing is known of any speed, so nothing is ever declined. */
const unknownRates: Rates = {
  prefillTokensPerMs: null,
  restoreBytesPerMs: { ram: null, ssd: null },
}
const patientRates: RateMeter = {
  rates: () => unknownRates,
  prefilled() {},
  restored() {},
  declined() {},
}

function startEngine(world: World, arena: Arena) {
  const { clock, random, journal, profile } = world
  const worker = workerOptions(profile)
  let current: WorkerLife | null = null
  const engine = superviseEngine(
    (events) => {
      current = startLife(
        {
          clock,
          worker,
          memory: arena,
          frameMs: () => random.next() * 0.5,
          computeMs: () => random.next() * 4,
          loadMs: () => random.next() * 50,
        },
        events,
      )
      return current
    },
    {
      arena: { fd: 0, sizeBytes: arena.sizeBytes },
      view: arena,
      // It dies far more often than a worker that is worth starting again.
      limits: { ...limits, workerRestartsPerWindow: Number.MAX_SAFE_INTEGER },
      log: (line) => journal.note(`worker: ${line}`),
    },
  )
  return { engine, life: () => current }
}

async function* warming({ clock }: World, { sizeBytes }: Arena, signal: AbortSignal) {
  const stepBytes = sizeBytes / 4
  for (let warm = stepBytes; warm <= sizeBytes && !signal.aborted; warm += stepBytes) {
    await new Promise<void>((resolve) => clock.after(5, resolve))
    yield warm
  }
}
