/** A supervised fake engine with short limits. */
import { type EngineLimits, startEngine } from '../../engines/index.ts'
import type { Engine, WorkerOptions } from '../../engines/types.ts'
import type { EngineArena } from './engine-arena.ts'

export const testLimits: EngineLimits = {
  queuedRequests: 8,
  workerReadyMs: 30_000,
  workerSilenceMs: 30_000,
  workerRestartsPerWindow: 3,
  workerRestartWindowMs: 60_000,
  workerBackoffMinMs: 1,
  workerBackoffMaxMs: 20,
  frameHeaderBytes: 16 * 1024 * 1024,
  framePayloadBytes: 64 * 1024 * 1024,
}

export function startFake(options: {
  readonly arena: EngineArena
  readonly worker?: Partial<WorkerOptions>
  readonly limits?: Partial<EngineLimits>
  readonly log?: (line: string) => void
  readonly missing?: () => Promise<string | null>
}): Engine {
  return startEngine('fake', {
    worker: {
      modelPath: 'fake',
      contextTokens: 4096,
      sequences: 2,
      threads: 1,
      blockTokens: 32,
      reuse: 'token',
      engine: {},
      ...options.worker,
    },
    arena: options.arena.shared,
    view: options.arena.view,
    limits: { ...testLimits, ...options.limits },
    log: options.log ?? (() => {}),
    ...(options.missing && { missing: options.missing }),
  })
}
