/** What every engine promises; runs against each of them, with shared memory and without. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecordKind } from '../../cache/types.ts'
import { RestoreError } from '../../engines/errors.ts'
import type { Engine, GenerateDone, ModelInfo, Sequence } from '../../engines/types.ts'
import { generate, promptOf, requestOf } from '../support/ask-engine.ts'
import {
  chainTo,
  createCollectingSink,
  type EngineArena,
  kvOf,
  toRestore,
} from '../support/engine-arena.ts'
import { boundaryContract } from './engine-boundaries.ts'
import { samplingContract } from './engine-sampling.ts'

export interface ContractEngine {
  readonly engine: Engine
  readonly arena: EngineArena
}

export interface ContractOptions {
  /** Must be what the engine was started with. */
  readonly blockTokens: number
  readonly make: (reuse: 'token' | 'block', mode: 'shared' | 'carried') => ContractEngine
  /** Does the engine give the same bits for trimmed and tail restores, whatever the call sizes? */
  readonly exactForAnyCallSize: boolean
  /** How bytes reach the worker; absent: both ways. */
  readonly modes?: readonly ('shared' | 'carried')[]
  /** Of its layout; absent: `kv` alone, whose records can be cut at any token. */
  readonly kinds?: readonly RecordKind[]
}

const never = new AbortController().signal

const modeWords = { shared: 'in shared memory', carried: 'carried by frames' } as const

export function engineContract(name: string, options: ContractOptions): void {
  for (const mode of options.modes ?? (['shared', 'carried'] as const)) {
    describe(`${name}, records ${modeWords[mode]}`, () => {
      describe('reuse by blocks', () => {
        const worker = started(options, 'block', mode)
        exactness(options, worker)
        several(options, worker, mode)
        if (hasBoundaries(options)) boundaryContract({ ...options, reuse: 'block' }, worker)
      })
      describe('reuse to the token', () => {
        const worker = started(options, 'token', mode)
        saving(options, worker)
        flow(options, worker)
        if (hasBoundaries(options)) boundaryContract({ ...options, reuse: 'token' }, worker)
        else {
          trimming(options, worker)
          samplingContract(worker)
        }
      })
    })
  }
}

const hasBoundaries = ({ kinds = ['kv'] }: ContractOptions): boolean => kinds.length > 1

function started(options: ContractOptions, reuse: 'token' | 'block', mode: 'shared' | 'carried') {
  let made: ContractEngine
  const held = {
    info: null as unknown as ModelInfo,
    get engine(): Engine {
      return made.engine
    },
    sink: (accept?: Parameters<typeof createCollectingSink>[1]) =>
      createCollectingSink(made.arena, accept),
    view: (offset: number, sizeBytes: number) => made.arena.view.view(offset, sizeBytes),
    /** Opens a sequence for `work` and closes it again. */
    async sequence<T>(work: (sequence: Sequence) => Promise<T>): Promise<T> {
      const sequence = await made.engine.openSequence(never)
      try {
        return await work(sequence)
      } finally {
        await sequence.close()
      }
    },
  }
  beforeAll(async () => {
    made = options.make(reuse, mode)
    held.info = await made.engine.ready()
  })
  afterAll(async () => {
    await made.engine.close(1_000)
    made.arena.close()
  })
  return held
}

export type StartedWorker = ReturnType<typeof started>

function exactness(options: ContractOptions, worker: StartedWorker): void {
  const { blockTokens } = options

  it('declares a model whose records have the size that its layout says', () => {
    const { kinds, kvBytesPerToken, sliceable } = worker.info.layout
    expect(kinds).toEqual(options.kinds ?? ['kv'])
    expect(sliceable).toBe(!hasBoundaries(options))
    // What keeps nothing for each token keeps a state instead.
    if (!kinds.includes('state')) expect(kvBytesPerToken).toBeGreaterThan(0)
    expect(worker.info.sequences).toBeGreaterThanOrEqual(1)
    expect(worker.engine.status().state).toBe('ready')
  })

  it('turns text into tokens and back, also token by token', async () => {
    const text = 'Der Fluß war breit — 河は広い. 🚣'
    const tokens = await worker.engine.tokenize(text, { addSpecial: false, parseSpecial: false })
    expect(await worker.engine.detokenize(tokens)).toBe(text)
    const pieces = await worker.engine.pieces(tokens)
    expect(pieces).toHaveLength(tokens.length)
    expect(Buffer.concat(pieces).toString('utf8')).toBe(text)
  })

  it('answers from restored blocks bit for bit as from a cold prefill', async () => {
    const tokens = await promptOf(worker.engine, 2 * blockTokens + 9, 'exactness')
    const sink = worker.sink()
    const boundaries = [2 * blockTokens]
    const cold = await worker.sequence((it) => generate(it, { tokens, boundaries }, sink))
    expect(kvOf(sink).map(({ from, to, grid }) => [from, to, grid])).toEqual([
      [0, blockTokens, true],
      [blockTokens, 2 * blockTokens, true],
    ])
    const warm = await worker.sequence(async (it) => {
      const restored = await it.restore(chainTo(sink, 2 * blockTokens))
      expect(restored.restoredTokens).toBe(2 * blockTokens)
      const input = { tokens, computeFrom: 2 * blockTokens, restoredOnGrid: true }
      return generate(it, input, worker.sink())
    })
    expect(warm.tokens).toEqual(cold.tokens)
    expect(warm.logits).toEqual(cold.logits)
    expect(warm.done).toMatchObject({ restoredTokens: 2 * blockTokens, computedTokens: 9 })
  })

  it('exports a block after restored ones as on the grid, with the same bytes', async () => {
    const tokens = await promptOf(worker.engine, 2 * blockTokens + 1, 'second block')
    const sink = worker.sink()
    const boundaries = [blockTokens]
    await worker.sequence((it) => generate(it, { tokens, maxTokens: 0, boundaries }, sink))
    const [, second] = kvOf(sink)
    const again = worker.sink()
    await worker.sequence(async (it) => {
      await it.restore(chainTo(sink, blockTokens))
      const input = { tokens, computeFrom: blockTokens, restoredOnGrid: true, maxTokens: 0 }
      await generate(it, input, again)
    })
    expect(again.committed).toMatchObject([{ from: blockTokens, grid: true }])
    expect(again.committed[0]?.crc32s).toEqual(second?.crc32s)
  })
}

function several(
  { blockTokens }: ContractOptions,
  worker: StartedWorker,
  mode: 'shared' | 'carried',
): void {
  it('refuses a damaged record, names it, and leaves an empty working sequence', async () => {
    const tokens = await promptOf(worker.engine, 2 * blockTokens + 3, 'damage')
    const sink = worker.sink()
    const boundaries = [2 * blockTokens]
    const cold = await worker.sequence((it) => generate(it, { tokens, boundaries }, sink))
    const records = chainTo(sink, 2 * blockTokens)
    const recordIndex = records.length - 1
    const damaged = records[recordIndex]
    if (damaged === undefined) throw new Error('two blocks were expected')
    const bytes = worker.view(damaged.offset, damaged.sizeBytes)
    const at = bytes.length - 1
    bytes[at] = (bytes[at] ?? 0) ^ 1
    await worker.sequence(async (it) => {
      // What was verified in the service's memory proves nothing of what came out of a socket.
      const verified = mode === 'carried'
      const restoring = it.restore(records.map((record) => ({ ...record, verified })))
      const error: unknown = await restoring.catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(RestoreError)
      expect(error).toMatchObject({
        recordIndex,
        corrupt: true,
        code: 'PREFIXD_E_ENGINE_RESTORE',
      })
      const again = await generate(it, { tokens }, worker.sink())
      expect(again.tokens).toEqual(cold.tokens)
    })
  })

  it('serves several sequences at once bit for bit as it serves each alone', async () => {
    const prompts = await Promise.all(
      Array.from({ length: worker.info.sequences + 1 }, (_, index) =>
        promptOf(worker.engine, blockTokens + 5 + index, `request ${index}`),
      ),
    )
    const ask = (tokens: Uint32Array) => () =>
      worker.sequence((it) => generate(it, { tokens }, worker.sink()))
    const alone = []
    for (const tokens of prompts) alone.push(await ask(tokens)())
    const together = await Promise.all(prompts.map((tokens) => ask(tokens)()))
    expect(together.map((it) => it.tokens)).toEqual(alone.map((it) => it.tokens))
    expect(together.map((it) => it.logits)).toEqual(alone.map((it) => it.logits))
  })
}

function saving(options: ContractOptions, worker: StartedWorker): void {
  const { blockTokens } = options

  it('exports the tail with its decoded tokens, all but the last sampled one', async () => {
    const tokens = await promptOf(worker.engine, blockTokens + 7, 'tail')
    const sink = worker.sink()
    const cold = await worker.sequence((it) => generate(it, { tokens, maxTokens: 5 }, sink))
    const tail = kvOf(sink).at(-1)
    expect(tail).toMatchObject({ from: blockTokens, to: blockTokens + 7 + 4, grid: false })
    const prompt = [...tokens.subarray(blockTokens)]
    expect([...(tail?.tokens ?? [])]).toEqual([...prompt, ...cold.tokens.slice(0, 4)])
    expect(cold.done).toMatchObject({ finishReason: 'length', decodedTokens: 5, restoredTokens: 0 })
    expect(sink.open.size).toBe(0)
  })

  it('exports a block that decoding completes, and does not call it on the grid', async () => {
    const tokens = await promptOf(worker.engine, blockTokens - 2, 'decoded block')
    const sink = worker.sink()
    await worker.sequence((it) => generate(it, { tokens, maxTokens: 6 }, sink))
    expect(kvOf(sink).map(({ from, to, grid }) => [from, to, grid])).toEqual([
      [0, blockTokens, false],
      [blockTokens, blockTokens + 3, false],
    ])
  })

  it('prefills and saves with maxTokens 0, and generates nothing', async () => {
    const tokens = await promptOf(worker.engine, blockTokens + 6, 'warm only')
    const sink = worker.sink()
    const answer = await worker.sequence((it) => generate(it, { tokens, maxTokens: 0 }, sink))
    expect(answer.tokens).toEqual([])
    expect(answer.done).toMatchObject({ finishReason: 'length', computedTokens: tokens.length })
    expect(kvOf(sink).map(({ to }) => to)).toEqual([blockTokens, blockTokens + 6])
  })
}

function flow({ blockTokens }: ContractOptions, worker: StartedWorker): void {
  it('answers the same when the sink has no room, and when nothing is to be saved', async () => {
    const tokens = await promptOf(worker.engine, blockTokens + 2, 'no room')
    const kept = await worker.sequence((it) => generate(it, { tokens }, worker.sink()))
    const full = worker.sink(() => false)
    const refused = await worker.sequence((it) => generate(it, { tokens }, full))
    const unasked = worker.sink()
    const bare = await worker.sequence((it) => generate(it, { tokens, save: false }, unasked))
    expect(refused.tokens).toEqual(kept.tokens)
    expect(bare.tokens).toEqual(kept.tokens)
    expect(full.requests.length).toBeGreaterThan(0)
    expect(unasked.requests).toEqual([])
  })

  it('ends within one token when the client goes away, and saves what was computed', async () => {
    const tokens = await promptOf(worker.engine, blockTokens + 3, 'gone')
    const sink = worker.sink()
    const abort = new AbortController()
    await worker.sequence(async (it) => {
      const input = { ...requestOf(tokens), maxTokens: 200 }
      let done: GenerateDone | undefined
      for await (const event of it.generate(input, sink, abort.signal)) {
        if (event.type === 'token') abort.abort()
        if (event.type === 'done') done = event
      }
      expect(done).toMatchObject({ finishReason: 'aborted', computedTokens: tokens.length })
      expect(done?.decodedTokens).toBeLessThan(200)
    })
    expect(sink.committed.at(-1)?.to).toBeGreaterThanOrEqual(tokens.length)
    expect(sink.open.size).toBe(0)
  })

  it('reports prefill on the grid, up to the whole prompt', async () => {
    const tokens = await promptOf(worker.engine, 2 * blockTokens + 1, 'progress')
    const answer = await worker.sequence((it) => generate(it, { tokens }, worker.sink()))
    const progress = answer.events.filter((event) => event.type === 'prefill')
    expect(progress.map((event) => event.processedTokens)).toEqual([
      blockTokens,
      2 * blockTokens,
      2 * blockTokens + 1,
    ])
  })

  it('refuses to compute from where the sequence does not stand', async () => {
    const tokens = await promptOf(worker.engine, blockTokens, 'nowhere')
    await worker.sequence(async (it) => {
      const wrong = generate(it, { tokens, computeFrom: 5 }, worker.sink())
      await expect(wrong).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_PROTOCOL' })
    })
  })
}

function trimming(options: ContractOptions, worker: StartedWorker): void {
  const { blockTokens } = options

  it('restores a trimmed record to the token', async () => {
    const tokens = await promptOf(worker.engine, blockTokens + 4, 'trim')
    const sink = worker.sink()
    const cold = await worker.sequence((it) => generate(it, { tokens }, sink))
    const keepTo = blockTokens - 3
    await worker.sequence(async (it) => {
      const first = sink.committed[0]
      if (first === undefined) throw new Error('a block was expected')
      expect((await it.restore([toRestore(first, keepTo)])).restoredTokens).toBe(keepTo)
      const input = { tokens, computeFrom: keepTo, restoredOnGrid: false }
      const again = worker.sink()
      const warm = await generate(it, input, again)
      expect(warm.done).toMatchObject({ restoredTokens: keepTo, computedTokens: 7 })
      expect(again.committed[0]).toMatchObject({ from: 0, to: blockTokens, grid: false })
      if (options.exactForAnyCallSize) expect(warm.logits).toEqual(cold.logits)
    })
  })

  it('continues a live sequence after a trim', async () => {
    const tokens = await promptOf(worker.engine, blockTokens + 8, 'live')
    await worker.sequence(async (it) => {
      const first = await generate(it, { tokens }, worker.sink())
      await it.trim(blockTokens)
      const input = { tokens, computeFrom: blockTokens, restoredOnGrid: true }
      const again = await generate(it, input, worker.sink())
      expect(again.tokens).toEqual(first.tokens)
      expect(again.logits).toEqual(first.logits)
    })
  })
}
