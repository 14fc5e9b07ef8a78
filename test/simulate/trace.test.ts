import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { limits } from '../../src/config/limits.ts'
import { readTrace } from '../../src/simulate/read-trace.ts'
import { buildTrace } from '../../src/simulate/trace.ts'

const defaults = { blockTokens: 512, bytesPerToken: 1024 }
const good = { timestamp: 3000, input_length: 900, output_length: 50, hash_ids: [0, 7] }

function built(...lines: readonly unknown[]) {
  const builder = buildTrace(defaults)
  for (const [index, line] of lines.entries()) {
    builder.add(typeof line === 'string' ? line : JSON.stringify(line), index + 1)
  }
  return builder.trace()
}

describe('a trace', () => {
  it("is read in Mooncake's format, with sizes that were given beside it", () => {
    const trace = built(good, { ...good, timestamp: 3001, hash_ids: [0, 8, 9] })
    expect(trace.requests).toEqual([
      { atMs: 3000, blocks: [0, 1] },
      { atMs: 3001, blocks: [0, 2, 3] },
    ])
    const block = { sizeBytes: 512 * 1024, recomputeMs: null }
    expect(trace.blocks[0]).toEqual({ ...block, parent: -1 })
    expect(trace.blocks[3]).toEqual({ ...block, parent: 2 })
    expect(trace).toMatchObject({ askedBlocks: 5, promptTokens: 1800 })
  })

  it('keeps models apart, with their own sizes and speeds', () => {
    const ours = { ...good, block_tokens: 256, block_bytes: 6_000_000, block_ms: 512 }
    const trace = built({ ...ours, model: 'a' }, { ...ours, model: 'b', block_ms: null })
    expect(trace.blocks.map(({ sizeBytes, recomputeMs }) => [sizeBytes, recomputeMs])).toEqual([
      [6_000_000, 512],
      [6_000_000, 512],
      [6_000_000, null],
      [6_000_000, null],
    ])
  })

  it('takes ids that are texts', () => {
    expect(built({ ...good, hash_ids: ['9f2c', '51aa'] }).askedBlocks).toBe(2)
  })

  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['no JSON', '{"timestamp": 3', 'Line 2 of the trace is not JSON.'],
    ['a list', [good], 'Line 2 of the trace is not a JSON object.'],
    ['no time', { ...good, timestamp: undefined }, 'timestamp on line 2 of the trace is missing;'],
    ['a time before the last', { ...good, timestamp: 1 }, 'timestamp on line 2 of the trace is 1,'],
    ['a length below zero', { ...good, input_length: -1 }, 'input_length on line 2'],
    [
      'ids that are none',
      { ...good, hash_ids: [0, 1.5] },
      'hash_ids on line 2 of the trace has 1.5',
    ],
    ['an id elsewhere', { ...good, hash_ids: [7] }, 'hash_ids on line 2 of the trace has the id 7'],
    ['a block of no size', { ...good, block_bytes: 0 }, 'block_bytes on line 2'],
    ['a model that is a number', { ...good, model: 3 }, 'model on line 2'],
  ]
  for (const [name, line, message] of wrong) {
    it(`is refused by line and field for ${name}`, () => {
      expect(() => built(good, line)).toThrow(
        expect.objectContaining({
          code: 'PREFIXD_E_TRACE',
          message: expect.stringContaining(message),
          field: expect.stringContaining('line 2'),
        }),
      )
    })
  }
})

describe('a trace in a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prefixd-trace-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  function reading(text: string, signal = new AbortController().signal) {
    const path = join(folder, 'trace.jsonl')
    writeFileSync(path, text)
    return readTrace(path, { ...defaults, signal, onProgress: () => {} })
  }

  it('may have empty lines, and no line end behind its last one', async () => {
    const trace = await reading(`${JSON.stringify(good)}\n\n${JSON.stringify(good)}`)
    expect(trace.requests).toHaveLength(2)
  })

  it('is refused when it is empty, is not there, or has a line without an end', async () => {
    await expect(reading('\n')).rejects.toMatchObject({ code: 'PREFIXD_E_TRACE' })
    const missing = { ...defaults, signal: new AbortController().signal, onProgress: () => {} }
    const paths = { none: 'there is no such file', '.': 'it is a folder' }
    for (const [path, why] of Object.entries(paths)) {
      const whole = join(folder, path)
      await expect(readTrace(whole, missing)).rejects.toMatchObject({
        code: 'PREFIXD_E_TRACE',
        message: `The trace ${whole} could not be read: ${why}.`,
        field: 'trace',
        next: expect.stringContaining('--record'),
      })
    }
    await expect(reading(' '.repeat(limits.traceLineLength + 70_000))).rejects.toMatchObject({
      field: 'line 1',
    })
  })

  it('is no longer read when somebody ends it', async () => {
    await expect(reading(JSON.stringify(good), AbortSignal.abort())).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})
