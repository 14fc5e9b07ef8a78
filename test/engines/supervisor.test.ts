import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import type { EngineLimits } from '../../engines/limits.ts'
import { createEngine } from '../../engines/supervisor.ts'
import type { Engine, GenerateEvent, GenerateInput, WorkerOptions } from '../../engines/types.ts'
import { generate, requestOf } from '../support/ask-engine.ts'
import {
  createCollectingSink,
  createEngineArena,
  type EngineArena,
} from '../support/engine-arena.ts'
import type { RogueWay } from '../support/rogue-worker.ts'
import { startFake, testLimits } from '../support/start-fake.ts'

const never = new AbortController().signal
const opened: { engine: Engine; arena: EngineArena }[] = []

afterEach(async () => {
  for (const { engine, arena } of opened.splice(0)) {
    await engine.close(0)
    arena.close()
  }
})

function fake(
  engineOptions: WorkerOptions['engine'] = {},
  limits: Partial<EngineLimits> = {},
  log?: (line: string) => void,
  sequences = 2,
) {
  const arena = createEngineArena(4 * 1024 * 1024, 'shared')
  const worker = { engine: engineOptions, sequences }
  const engine = startFake({ arena, worker, limits, ...(log && { log }) })
  opened.push({ engine, arena })
  return { engine, arena, sink: createCollectingSink(arena) }
}

const promptOf = (tokenCount: number): Uint32Array =>
  Uint32Array.from({ length: tokenCount }, (_, at) => 97 + (at % 26))

const shortAnswer = (tokenCount: number, maxTokens = 4): GenerateInput => ({
  ...requestOf(promptOf(tokenCount)),
  maxTokens,
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: { code?: unknown }) => error.code,
  )

describe('a worker that dies', () => {
  it('in the middle of a prefill rejects the request after its end, and the next one works', async () => {
    const { engine, arena, sink } = fake({ prefillTokensPerSecond: 500 })
    await engine.ready()
    const { pid } = engine.status()
    if (pid === null) throw new Error('a process was expected')
    const sequence = await engine.openSequence(never)
    // Room for the second block is still being looked for when the worker dies.
    const thinking = Promise.withResolvers<boolean>()
    const slow = createCollectingSink(arena, ({ from }) => (from === 0 ? true : thinking.promise))
    let atError: { alive: boolean; open: number } | null = null
    const reading = (async () => {
      for await (const event of sequence.generate(shortAnswer(400), slow, never)) {
        if (event.type === 'prefill') process.kill(pid, 'SIGKILL')
      }
    })().catch((error: unknown) => {
      atError = { alive: isAlive(pid), open: slow.open.size }
      throw error
    })
    expect(await codeOf(reading)).toBe('PREFIXD_E_ENGINE_DIED')
    expect(atError).toEqual({ alive: false, open: 0 })
    thinking.resolve(true)
    await sequence.close()
    expect(slow.open.size).toBe(0)
    expect(slow.committed).toHaveLength(1)

    const next = await engine.openSequence(never)
    const answer = await generate(next, { tokens: promptOf(40) }, sink)
    expect(answer.done.finishReason).toBe('length')
    await next.close()
    expect(engine.status()).toMatchObject({ state: 'ready', restarts: 1, busySequences: 0 })
    expect(engine.status().pid).not.toBe(pid)
  })

  it('tells its last words', async () => {
    const { engine, sink } = fake({ crashAtToken: 100 })
    const sequence = await engine.openSequence(never)
    const asking = generate(sequence, { tokens: promptOf(120) }, sink)
    await expect(asking).rejects.toThrow('a crash was ordered at token 100')
    await sequence.close()
    expect(engine.status().lastError).toContain('SIGKILL')
  })

  it('too often is given up, and everybody who waits is told', async () => {
    const { engine } = fake({ crashOnLoad: true }, { workerRestartsPerWindow: 2 })
    const waiting = codeOf(engine.openSequence(never))
    await expect(engine.ready()).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_FAILED' })
    await expect(engine.ready()).rejects.toThrow('a crash was ordered while loading')
    expect(await waiting).toBe('PREFIXD_E_ENGINE_FAILED')
    expect(engine.status()).toMatchObject({ state: 'failed', restarts: 2, pid: null })
    expect(await codeOf(engine.openSequence(never))).toBe('PREFIXD_E_ENGINE_FAILED')
  })

  it('of silence is killed and the request told so', async () => {
    const { engine, sink } = fake({ hangAtToken: 50 }, { workerSilenceMs: 1_500 })
    const sequence = await engine.openSequence(never)
    const asking = generate(sequence, { tokens: promptOf(60) }, sink)
    expect(await codeOf(asking)).toBe('PREFIXD_E_ENGINE_TIMEOUT')
    await sequence.close()
    const next = await engine.openSequence(never)
    expect((await generate(next, { tokens: promptOf(40) }, sink)).tokens).toHaveLength(8)
  })
})

describe('a model that cannot be loaded', () => {
  it('is final: a typed error, and no restart', async () => {
    const { engine } = fake({ failLoad: true })
    await expect(engine.ready()).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_MODEL' })
    expect(engine.status()).toMatchObject({ state: 'failed', restarts: 0 })
    const rendering = engine.tokenize('x', { addSpecial: false, parseSpecial: false })
    expect(await codeOf(rendering)).toBe('PREFIXD_E_ENGINE_MODEL')
  })

  it('in time is given up', async () => {
    const { engine } = fake({ loadMs: 60_000 }, { workerReadyMs: 300 })
    await expect(engine.ready()).rejects.toThrow('not ready within 300 ms')
    expect(engine.status().state).toBe('failed')
  })
})

describe('the queue for sequences', () => {
  it('is bounded, first come first served, and lets go of who gives up', async () => {
    const { engine } = fake({}, { queuedRequests: 2 }, undefined, 1)
    const first = await engine.openSequence(never)
    const gone = new AbortController()
    const order: string[] = []
    const impatient = engine.openSequence(gone.signal)
    const patient = engine.openSequence(never).then((it) => {
      order.push('patient')
      return it
    })
    expect(engine.status().queuedRequests).toBe(2)
    expect(await codeOf(engine.openSequence(never))).toBe('PREFIXD_E_ENGINE_QUEUE_FULL')
    gone.abort(new Error('the client left'))
    await expect(impatient).rejects.toThrow('the client left')
    const late = engine.openSequence(never).then((it) => {
      order.push('late')
      return it
    })
    await first.close()
    await (await patient).close()
    await (await late).close()
    expect(order).toEqual(['patient', 'late'])
    expect(engine.status()).toMatchObject({ busySequences: 0, queuedRequests: 0 })
  })
})

describe('closing', () => {
  it('lets a running request finish, and refuses new ones', async () => {
    const { engine, sink } = fake({ decodeTokensPerSecond: 200 })
    const sequence = await engine.openSequence(never)
    const events: GenerateEvent[] = []
    let closing: Promise<void> | null = null
    let refused: Promise<unknown> | null = null
    for await (const event of sequence.generate(shortAnswer(40, 10), sink, never)) {
      events.push(event)
      if (event.type === 'prefill') {
        closing ??= engine.close(30_000)
        refused ??= codeOf(engine.openSequence(never))
      }
    }
    expect(events.at(-1)).toMatchObject({ type: 'done', decodedTokens: 10 })
    expect(await refused).toBe('PREFIXD_E_ENGINE_STOPPING')
    await sequence.close()
    await closing
    expect(engine.status()).toMatchObject({ state: 'stopped', pid: null })
  })

  it('ends what does not finish in time', async () => {
    const { engine, sink } = fake({ hangAtToken: 33 })
    const sequence = await engine.openSequence(never)
    let closing: Promise<void> | null = null
    const reading = (async () => {
      for await (const event of sequence.generate(shortAnswer(60), sink, never)) {
        if (event.type === 'prefill') closing = engine.close(20)
      }
    })()
    expect(await codeOf(reading)).toBe('PREFIXD_E_ENGINE_STOPPING')
    await closing
    expect(engine.status().state).toBe('stopped')
  })

  it('while the model still loads does not wait for it', async () => {
    const { engine } = fake({ loadMs: 60_000 })
    const waiting = codeOf(engine.ready())
    await engine.close(30_000)
    expect(await waiting).toBe('PREFIXD_E_ENGINE_STOPPING')
    expect(engine.status().state).toBe('stopped')
  })
})

describe('a request', () => {
  it('whose reader stops is cancelled, and its sequence works on', async () => {
    const { engine, sink } = fake({ decodeTokensPerSecond: 2_000 })
    const sequence = await engine.openSequence(never)
    for await (const event of sequence.generate(shortAnswer(40, 4_000), sink, never)) {
      if (event.type === 'token') break
    }
    expect(sink.open.size).toBe(0)
    const saved = sink.committed.at(-1)?.to ?? 0
    expect(saved).toBeGreaterThanOrEqual(40)
    expect(saved).toBeLessThan(1_000)
    await sequence.trim(32)
    const input = { tokens: promptOf(40), computeFrom: 32 }
    expect((await generate(sequence, input, sink)).tokens).toHaveLength(8)
  })

  it('that is running when its sequence is closed ends first', async () => {
    const { engine, sink } = fake({ decodeTokensPerSecond: 2_000 })
    const sequence = await engine.openSequence(never)
    const stream = sequence.generate(shortAnswer(40, 4_000), sink, never)
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    await sequence.close()
    expect(sink.open.size).toBe(0)
    expect(engine.status().busySequences).toBe(0)
    expect(await codeOf(sequence.trim(1))).toBe('PREFIXD_E_ENGINE_PROTOCOL')
  })

  it('that fails in the engine gets a typed error, and the worker lives on', async () => {
    const { engine, sink } = fake({ failAtToken: 40 })
    const sequence = await engine.openSequence(never)
    const failing = generate(sequence, { tokens: promptOf(60) }, sink)
    expect(await codeOf(failing)).toBe('PREFIXD_E_ENGINE_COMPUTE')
    expect(sink.open.size).toBe(0)
    // The sequence was cleared: it starts from nothing.
    expect((await generate(sequence, { tokens: promptOf(20) }, sink)).tokens).toHaveLength(8)
    expect(engine.status().restarts).toBe(0)
  })

  it('does not notice a sink that throws', async () => {
    const lines: string[] = []
    const { engine } = fake({}, {}, (line) => lines.push(line))
    const sequence = await engine.openSequence(never)
    const sink = {
      reserve: () => Promise.reject(new Error('the disk is full')),
      commit() {},
      abandon() {},
    }
    expect((await generate(sequence, { tokens: promptOf(40) }, sink)).tokens).toHaveLength(8)
    expect(lines.join('\n')).toContain('the disk is full')
  })

  it('waits while the worker restarts', async () => {
    const { engine, sink } = fake()
    await engine.ready()
    process.kill(engine.status().pid ?? 0, 'SIGKILL')
    await expect.poll(() => engine.status().state).not.toBe('ready')
    const sequence = await engine.openSequence(never)
    expect((await generate(sequence, { tokens: promptOf(9) }, sink)).tokens).toHaveLength(8)
  })
})

describe('a worker without its service', () => {
  it('ends by itself', async () => {
    const entry = fileURLToPath(new URL('../../engines/fake/main.ts', import.meta.url))
    const child = spawn(process.execPath, [entry], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] })
    const ended = once(child, 'exit')
    const socket = child.stdio[3]
    await once(socket as NodeJS.EventEmitter, 'data')
    socket?.destroy()
    expect(await ended).toEqual([null, 'SIGKILL'])
  })
})

describe('a worker that breaks the protocol', () => {
  const rogue = (way: RogueWay): Engine => {
    const arena = createEngineArena(1024 * 1024, 'carried')
    const entry = fileURLToPath(new URL('../support/rogue-worker.ts', import.meta.url))
    const command = { command: process.execPath, args: [entry, way], env: {} }
    const { view, shared } = arena
    const worker = { modelPath: '', contextTokens: 64, sequences: 1, threads: 1, blockTokens: 16 }
    const engine = createEngine(command, {
      worker: { ...worker, reuse: 'token', engine: {} },
      view,
      arena: shared,
      limits: testLimits,
      log: () => {},
    })
    opened.push({ engine, arena })
    return engine
  }

  it('with bytes that are no frame is killed, and restarted', async () => {
    const engine = rogue('garbage')
    const sequence = await engine.openSequence(never)
    expect(await codeOf(sequence.trim(0))).toBe('PREFIXD_E_ENGINE_PROTOCOL')
    await engine.ready()
    expect(engine.status().restarts).toBe(1)
  })

  it('by closing its socket is killed before anybody is told of its death', async () => {
    const engine = rogue('hangs up')
    const sequence = await engine.openSequence(never)
    const pid = engine.status().pid ?? 0
    const told = sequence.trim(0).catch((error: unknown) => ({ error, alive: isAlive(pid) }))
    expect(await told).toMatchObject({ alive: false, error: { code: 'PREFIXD_E_ENGINE_DIED' } })
  })

  it('by speaking another version, or declaring nonsense, is told apart', async () => {
    await expect(rogue('other version').ready()).rejects.toThrow('speaks version 2')
    await expect(rogue('bad info').ready()).rejects.toThrow('`info.sequences` must be at least 1')
  })

  it('by coming back as another model is not used again', async () => {
    const engine = rogue('other model')
    const sequence = await engine.openSequence(never)
    expect(await codeOf(sequence.trim(0))).toBe('PREFIXD_E_ENGINE_DIED')
    await expect(engine.ready()).rejects.toThrow('another model')
    expect(engine.status().state).toBe('failed')
  })

  it('by not existing is final', async () => {
    const arena = createEngineArena(4096, 'carried')
    const options = { view: arena.view, arena: null, limits: testLimits, log: () => {} }
    const worker = { modelPath: '', contextTokens: 64, sequences: 1, threads: 1, blockTokens: 16 }
    const command = { command: 'no-such-program', args: [], env: {} }
    const engine = createEngine(command, {
      ...options,
      worker: { ...worker, reuse: 'token', engine: {} },
    })
    opened.push({ engine, arena })
    await expect(engine.ready()).rejects.toThrow('`no-such-program` cannot be started')
    expect(engine.status()).toMatchObject({ state: 'failed', restarts: 0 })
  })
})
