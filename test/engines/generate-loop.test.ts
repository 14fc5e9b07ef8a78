import { describe, expect, it } from 'vitest'
import { runGenerate } from '../../engines/generate-loop.ts'
import type { ExportedRecord, RecordBytes } from '../../engines/types.ts'
import { type Script, scriptEngine } from '../support/scripted-engine.ts'

const ten = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

async function run(script: Script) {
  const scripted = scriptEngine(script)
  const done = await runGenerate(scripted.job)
  const computed = scripted.log.filter((line) => line.startsWith('compute'))
  return { ...scripted, done, computed }
}

const spans = (records: readonly ExportedRecord[]) =>
  records.map(({ from, to, grid }) => [from, to, grid])

/** Of a layout: nothing here looks at them. */
const sizes = { rowBytesPerToken: 0, boundaryBytes: 0 }

describe('the grid', () => {
  it('ends prefill calls at absolute multiples of the block, wherever they begin', async () => {
    const input = { computeFrom: 3, maxTokens: 0 }
    const { computed } = await run({ prompt: ten, input })
    expect(computed).toEqual(['compute 3-4', 'compute 4-8', 'compute 8-10'])
  })

  it('holds for blocks after restored ones only when those were on it and ended on it', async () => {
    const exportedAfter = async (computeFrom: number, restoredOnGrid: boolean) => {
      const input = { computeFrom, restoredOnGrid, maxTokens: 0 }
      return spans((await run({ prompt: ten, input })).exported)
    }
    expect(await exportedAfter(4, true)).toEqual([
      [4, 8, true],
      [8, 10, false],
    ])
    expect(await exportedAfter(4, false)).toEqual([
      [4, 8, false],
      [8, 10, false],
    ])
    expect(await exportedAfter(3, true)).toEqual([
      [0, 4, false],
      [4, 8, false],
      [8, 10, false],
    ])
  })

  it('is all that `block` reuse exports', async () => {
    const block = (input: Script['input']) =>
      run({ prompt: ten, reuse: 'block', input: input ?? {} })
    expect(spans((await block({ maxTokens: 8 })).exported)).toEqual([
      [0, 4, true],
      [4, 8, true],
    ])
    expect(spans((await block({ computeFrom: 5, restoredOnGrid: true })).exported)).toEqual([])
  })
})

describe('exports', () => {
  it('ask for room while a block is computed, and follow its call', async () => {
    const { log } = await run({ prompt: ten, input: { maxTokens: 0 } })
    expect(log).toEqual([
      ...['reserve 0-4', 'compute 0-4', 'export 0-4', 'prefill 4'],
      ...['reserve 4-8', 'compute 4-8', 'export 4-8', 'prefill 8'],
      ...['compute 8-10', 'prefill 10', 'reserve 8-10', 'export 8-10'],
    ])
  })

  it('do not hold up the engine while the service looks for room, and keep their order', async () => {
    const answers: (() => void)[] = []
    const reserve: Script['reserve'] = ({ sizeBytes }) =>
      new Promise<RecordBytes>((resolve) => {
        answers.push(() => resolve({ offset: 0, sizeBytes, generation: 1 }))
      })
    const scripted = scriptEngine({ prompt: ten, input: { maxTokens: 0 }, reserve })
    const running = runGenerate(scripted.job)
    await expect.poll(() => answers.length).toBe(3)
    expect(scripted.log).toContain('compute 8-10')
    expect(scripted.exported).toEqual([])
    for (const answer of answers.reverse()) answer()
    await running
    expect(spans(scripted.exported)).toEqual([
      [0, 4, true],
      [4, 8, true],
      [8, 10, false],
    ])
  })

  it('of decoding: whole blocks when they are complete, then the tail, without the last token', async () => {
    const { exported, done, log } = await run({ prompt: [1, 2, 3], input: { maxTokens: 4 } })
    expect(done).toMatchObject({ finishReason: 'length', decodedTokens: 4, computedTokens: 3 })
    expect(spans(exported)).toEqual([
      [0, 4, false],
      [4, 6, false],
    ])
    expect(exported.map(({ tokens }) => [...tokens])).toEqual([
      [1, 2, 3, 65],
      [66, 67],
    ])
    expect(log.indexOf('export 0-4')).toBeLessThan(log.indexOf('token 67'))
  })

  it('skip what the service has no room for', async () => {
    const reserve: Script['reserve'] = ({ from, sizeBytes }) =>
      Promise.resolve(from === 0 ? null : { offset: 0, sizeBytes, generation: 1 })
    const { exported } = await run({ prompt: ten, reserve, input: { maxTokens: 0 } })
    expect(spans(exported)).toEqual([
      [4, 8, true],
      [8, 10, false],
    ])
  })

  it('refuse a record whose size is not what the layout says, and give its room back', async () => {
    const layout = { ...sizes, kvBytesPerToken: 3, kvFixedBytes: 4, sliceable: true, refusal: null }
    const scripted = scriptEngine({ prompt: ten, info: { layout: { ...layout, kinds: ['kv'] } } })
    const running = runGenerate(scripted.job)
    await expect(running).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_COMPUTE' })
    expect(scripted.exported).toEqual([])
    expect(scripted.abandoned).toHaveLength(1)
  })

  it('of a model without a known layout do not happen', async () => {
    const layout = {
      ...sizes,
      kvBytesPerToken: 0,
      kvFixedBytes: 0,
      sliceable: false,
      refusal: 'unknown',
    }
    const { log, done } = await run({ prompt: ten, info: { layout: { ...layout, kinds: [] } } })
    expect(done.decodedTokens).toBe(3)
    expect(log.filter((line) => /reserve|export/.test(line))).toEqual([])
  })
})

describe('boundaries', () => {
  const layout = { ...sizes, kvBytesPerToken: 2, kvFixedBytes: 4, sliceable: false, refusal: null }
  const info = { layout: { ...layout, kinds: ['kv', 'window', 'state'] as const } }
  const lines = (log: readonly string[]) => log.filter((line) => !/^(reserve|prefill)/.test(line))

  it('end prefill calls, and export what is exact there while the sequence stands there', async () => {
    const input = { maxTokens: 0, boundaries: [4, 6, 9] }
    const { log, exported } = await run({ prompt: ten, info, input })
    expect(lines(log)).toEqual([
      ...['compute 0-4', 'export 0-4', 'export window 0-4', 'export state 0-4'],
      ...['compute 4-6', 'export 4-6', 'export window 4-6', 'export state 4-6'],
      ...['compute 6-8', 'export 4-8'],
      ...['compute 8-9', 'export 8-9', 'export window 8-9', 'export state 8-9'],
      ...['compute 9-10', 'export 8-10', 'export window 8-10', 'export state 8-10'],
    ])
    const blocks = exported.filter(({ kind, to }) => kind === 'kv' && to % 4 === 0)
    expect(spans(blocks)).toEqual([
      [0, 4, true],
      [4, 8, false],
    ])
    expect(exported.map(({ from, to, tokens }) => tokens.length === to - from)).not.toContain(false)
  })

  it('end where decoding ends too, also when that completes a block', async () => {
    const { log } = await run({ prompt: [1, 2, 3, 4, 5, 6], info, input: { maxTokens: 3 } })
    expect(lines(log).slice(-5, -1)).toEqual([
      ...['export 4-8', 'token 67', 'export window 4-8', 'export state 4-8'],
    ])
  })

  it('are left out where nothing is to be saved, or nothing new was computed', async () => {
    const unsaved = { save: false, boundaries: [6] }
    const { log } = await run({ prompt: ten, info, input: unsaved })
    expect(log.filter((line) => line.startsWith('export'))).toEqual([])
    expect(log).toContain('compute 4-6')
    const gone = scriptEngine({ prompt: ten, info, input: { computeFrom: 8 } })
    gone.abort.abort()
    await runGenerate(gone.job)
    expect(gone.exported).toEqual([])
  })

  it('cut the calls of a plain model too, which has nothing to export there', async () => {
    const { log, computed } = await run({ prompt: ten, input: { maxTokens: 0, boundaries: [6] } })
    expect(computed).toEqual(['compute 0-4', 'compute 4-6', 'compute 6-8', 'compute 8-10'])
    expect(log.filter((line) => line.startsWith('export'))).toEqual([
      ...['export 0-4', 'export 4-8', 'export 8-10'],
    ])
  })

  it('stay on the grid with `block` reuse, and there only what is on it is exported', async () => {
    const block = { prompt: ten, info, reuse: 'block' as const }
    const { log } = await run({ ...block, input: { boundaries: [8] } })
    expect(log.filter((line) => line.startsWith('export'))).toEqual([
      ...['export 0-4', 'export 4-8', 'export window 4-8', 'export state 4-8'],
    ])
    const off = run({ ...block, input: { boundaries: [6] } })
    await expect(off).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_PROTOCOL' })
  })

  it('are refused unless they rise between what is restored and the end of the prompt', async () => {
    for (const boundaries of [[10], [3], [6, 6], [8, 6]]) {
      const wrong = run({ prompt: ten, info, input: { computeFrom: 3, boundaries } })
      await expect(wrong).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_PROTOCOL' })
    }
  })
})

describe('abort', () => {
  it('in the middle of a prefill call drops that call and keeps the blocks before it', async () => {
    const scripted = scriptEngine({
      prompt: ten,
      onCompute: (from) => from === 4 && scripted.abort.abort(),
    })
    const done = await runGenerate(scripted.job)
    expect(done).toMatchObject({ finishReason: 'aborted', computedTokens: 4, decodedTokens: 0 })
    expect(spans(scripted.exported)).toEqual([[0, 4, true]])
    // Room for 4-8 had been asked for while it was computed.
    expect(scripted.abandoned).toHaveLength(1)
  })

  it('while decoding ends within one token and keeps the tail', async () => {
    const scripted = scriptEngine({
      prompt: ten,
      input: { maxTokens: 50 },
      onCompute: (from) => from === 11 && scripted.abort.abort(),
    })
    const done = await runGenerate(scripted.job)
    expect(done).toMatchObject({ finishReason: 'aborted', decodedTokens: 2 })
    expect(spans(scripted.exported).at(-1)).toEqual([8, 11, false])
  })

  it('that empties the sequence keeps what is out, and gives the other room back', async () => {
    const answers: (() => void)[] = []
    const scripted = scriptEngine({
      prompt: ten,
      losesAborted: true,
      onCompute: (from) => from === 8 && scripted.abort.abort(),
      // The second block has no answer yet when the third call is aborted.
      reserve: async ({ from, sizeBytes }) => {
        if (from === 4) await new Promise<void>((resolve) => answers.push(resolve))
        return { offset: 0, sizeBytes, generation: 1 }
      },
    })
    const running = runGenerate(scripted.job)
    while (!scripted.abort.signal.aborted) await new Promise((resolve) => setImmediate(resolve))
    for (const answer of answers) answer()
    const done = await running
    expect(done).toMatchObject({ finishReason: 'aborted', restoredTokens: 0, computedTokens: 8 })
    expect(spans(scripted.exported)).toEqual([[0, 4, true]])
    expect(scripted.abandoned).toHaveLength(1)
  })

  it('before anything was computed exports nothing', async () => {
    const scripted = scriptEngine({ prompt: ten, input: { computeFrom: 6 } })
    scripted.abort.abort()
    const done = await runGenerate(scripted.job)
    expect(done).toMatchObject({ finishReason: 'aborted', restoredTokens: 6, computedTokens: 0 })
    expect(scripted.log.filter((line) => line.startsWith('compute'))).toEqual([])
    expect(scripted.exported).toEqual([])
  })
})

describe('the answer', () => {
  const text = (scripted: { events: readonly { type: string; text?: string }[] }) =>
    scripted.events.flatMap((event) => (event.type === 'token' ? [event.text] : []))

  it('has whole characters only, and flushes what never became one', async () => {
    const euro = [0xe2, 0x82, 0xac]
    expect(text(await run({ prompt: ten, answer: euro }))).toEqual(['', '', '€'])
    const cut = await run({ prompt: ten, answer: euro, input: { maxTokens: 2 } })
    expect(text(cut)).toEqual(['', '\ufffd'])
  })

  it('stops at an end token, whose text is not emitted but which counts', async () => {
    const { done, computed, ...rest } = await run({ prompt: ten, answer: [65, 0, 66] })
    expect(text(rest)).toEqual(['A', ''])
    expect(done).toMatchObject({ finishReason: 'stop', decodedTokens: 2 })
    expect(computed.at(-1)).toBe('compute 10-11')
    const on = await run({ prompt: ten, answer: [65, 0, 66], input: { ignoreEnd: true } })
    expect(on.done).toMatchObject({ finishReason: 'length', decodedTokens: 3 })
  })

  it('ends with `length` when the context is full', async () => {
    const { done } = await run({ prompt: ten, info: { contextTokens: 11 } })
    expect(done).toMatchObject({ finishReason: 'length', decodedTokens: 2 })
  })

  it('has logits only when they were asked for, and closes its sampler', async () => {
    const plain = await run({ prompt: ten })
    expect(plain.events.some((event) => 'logits' in event)).toBe(false)
    expect(plain.log.at(-1)).toBe('closed')
    const asked = await run({ prompt: ten, input: { logits: true } })
    const tokens = asked.events.filter((event) => event.type === 'token')
    expect(tokens.every((event) => event.logits?.length === 1)).toBe(true)
  })

  it('is refused for a prompt that does not fit or a restore that is not there', async () => {
    const long = run({ prompt: ten, info: { contextTokens: 9 } })
    await expect(long).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_COMPUTE' })
    const nothingToCompute = run({ prompt: ten, input: { computeFrom: 10 } })
    await expect(nothingToCompute).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_PROTOCOL' })
  })
})
