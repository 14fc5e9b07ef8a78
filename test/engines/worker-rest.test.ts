import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import type { EngineError } from '../../engines/errors.ts'
import type { EngineLimits } from '../../engines/limits.ts'
import type { Engine } from '../../engines/types.ts'
import { createEngineArena } from '../support/engine-arena.ts'
import { startFake } from '../support/start-fake.ts'
import { until } from '../support/start-service.ts'

const never = new AbortController().signal

/** A fake engine of this process: its worker can be killed, and its next one be made to fail. */
function fake(limits: Partial<EngineLimits> = {}, missing?: () => Promise<string | null>) {
  const arena = createEngineArena(4 * 1024 * 1024, 'shared')
  const engine = startFake({ arena, limits, ...(missing && { missing }) })
  onTestFinished(async () => {
    await engine.close(0)
    arena.close()
  })
  return engine
}

/** Every worker that starts from now on reads it. */
const orderFault = (fault: object): void => {
  process.env.PREFIXD_FAKE = JSON.stringify(fault)
}
afterEach(() => {
  delete process.env.PREFIXD_FAKE
})

const killWorker = (engine: Engine): void => {
  process.kill(engine.status().pid ?? 0, 'SIGKILL')
}
const untilFailed = (engine: Engine) =>
  until(
    async () => engine.status().state,
    (state) => state === 'failed',
  )
const refusalOf = (engine: Engine) =>
  engine.ready().then(
    () => null,
    (error: EngineError) => error,
  )

describe('a worker that lacks something when it is to start again', () => {
  it('rests with what is missing as its error, and no process is made', async () => {
    const engine = fake({}, async () => 'The engine is gone. Install it again.')
    await engine.ready()
    killWorker(engine)
    await untilFailed(engine)
    const refusal = await refusalOf(engine)
    expect(refusal).toMatchObject({ code: 'PREFIXD_E_ENGINE_FAILED', retry: false })
    expect(refusal?.message).toBe(
      'The engine is gone. Install it again. The worker is not running; ' +
        'a request starts it again when this is mended.',
    )
    expect(engine.status()).toMatchObject({
      pid: null,
      lastError: 'The engine is gone. Install it again.',
    })
  })

  it('starts with the next request when it is back', async () => {
    let lost: string | null = 'The model is gone.'
    const engine = fake({}, async () => lost)
    await engine.ready()
    killWorker(engine)
    await untilFailed(engine)
    expect(await refusalOf(engine)).not.toBeNull()
    lost = null
    await until(
      () => refusalOf(engine),
      (refusal) => refusal === null,
    )
    const sequence = await engine.openSequence(never)
    await sequence.close()
    expect(engine.status().state).toBe('ready')
  })

  it('tells those who waited for it', async () => {
    const looked = Promise.withResolvers<string>()
    const engine = fake({}, () => looked.promise)
    await engine.ready()
    killWorker(engine)
    await until(
      async () => engine.status().restarts,
      (restarts) => restarts === 1,
    )
    const waiting = [refusalOf(engine), engine.openSequence(never).catch((error) => error)]
    looked.resolve('The model is gone.')
    for (const refusal of await Promise.all(waiting)) {
      expect(refusal).toMatchObject({ code: 'PREFIXD_E_ENGINE_FAILED' })
    }
  })
})

describe('a worker that cannot load its model again', () => {
  it('is answered for truthfully, started once in a pause, and well when the cause has gone', async () => {
    const engine = fake({ workerBackoffMinMs: 1_000, workerBackoffMaxMs: 1_500 })
    await engine.ready()
    orderFault({ failLoad: true })
    killWorker(engine)
    await untilFailed(engine)
    const { restarts } = engine.status()
    const refusals = await Promise.all([refusalOf(engine), refusalOf(engine)])
    for (const refusal of refusals) {
      expect(refusal?.code).toBe('PREFIXD_E_ENGINE_FAILED')
      expect(refusal?.message).toContain('The model could not be loaded again.')
      expect(refusal?.message).not.toContain('send the request again')
      expect(refusal).toMatchObject({ retry: false, retryAfterSeconds: null })
    }
    // The pause is not over: nobody has started anything.
    expect(engine.status()).toMatchObject({ state: 'failed', restarts })
    delete process.env.PREFIXD_FAKE
    await until(
      () => refusalOf(engine),
      (refusal) => refusal === null,
    )
    expect(engine.status()).toMatchObject({ state: 'ready', restarts: restarts + 1 })
  })

  it('that dies on each start rests too, and keeps its last words out of errors', async () => {
    const engine = fake({ workerRestartsPerWindow: 1, workerBackoffMaxMs: 50 })
    await engine.ready()
    orderFault({ crashOnLoad: true })
    killWorker(engine)
    await untilFailed(engine)
    const refusal = await refusalOf(engine)
    expect(refusal?.message).toMatch(
      /^The worker ended \d times within 60000 ms\. The worker ended/,
    )
    expect(refusal?.message).not.toContain('a crash was ordered')
    expect(refusal).toMatchObject({ retry: true, retryAfterSeconds: 1 })
    expect(engine.status().lastError).toContain('a crash was ordered while loading')
    delete process.env.PREFIXD_FAKE
    await until(
      () => refusalOf(engine),
      (again) => again === null,
    )
  })

  it('can be closed while it rests', async () => {
    const engine = fake({}, async () => 'The model is gone.')
    await engine.ready()
    killWorker(engine)
    await untilFailed(engine)
    await engine.close(30_000)
    expect(engine.status().state).toBe('stopped')
    expect(await refusalOf(engine)).toMatchObject({ code: 'PREFIXD_E_ENGINE_STOPPING' })
  })
})
