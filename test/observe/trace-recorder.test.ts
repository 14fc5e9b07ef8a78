import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { BlockHash } from '../../cache/types.ts'
import { createTraceRecorder } from '../../src/observe/trace-recorder.ts'

const folder = mkdtempSync(join(tmpdir(), 'prefixd-record-'))
afterAll(() => rmSync(folder, { recursive: true }))

const request = {
  model: 'm',
  hashes: ['9f2c51aa00112233', '51aa9f2c00112233'] as BlockHash[],
  promptTokens: 300,
  generatedTokens: 20,
  blockTokens: 256,
  blockBytes: 6_000_000,
  blockMs: 512.04,
}

const linesOf = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n')

function recorderAt(name: string, more: { maxBytes?: number; times?: number[] } = {}) {
  const path = join(folder, name)
  const warnings: string[] = []
  const times = more.times ?? []
  const recorder = createTraceRecorder({
    path,
    ...(more.maxBytes === undefined ? {} : { maxBytes: more.maxBytes }),
    now: () => times.shift() ?? 1000,
    warn: (message) => warnings.push(message),
  })
  return { path, recorder, warnings }
}

describe('the recorder of traces', () => {
  it('writes hashes as numbers that are exact, sizes and speed', async () => {
    const { path, recorder } = recorderAt('one.jsonl')
    recorder.record(request)
    recorder.record({ ...request, blockMs: null })
    await recorder.close()
    const [first, second] = linesOf(path).map((line) => JSON.parse(line))
    expect(first).toEqual({
      timestamp: 1000,
      input_length: 300,
      output_length: 20,
      hash_ids: [0x9f2c51aa00112, 0x51aa9f2c00112],
      model: 'm',
      block_tokens: 256,
      block_bytes: 6_000_000,
      block_ms: 512,
    })
    expect(first.hash_ids.every(Number.isSafeInteger)).toBe(true)
    expect(second.block_ms).toBe(null)
  })

  it('writes a file that only its owner can read, and adds to what is there', async () => {
    const { path, recorder } = recorderAt('again.jsonl')
    recorder.record(request)
    await recorder.close()
    const later = recorderAt('again.jsonl')
    later.recorder.record(request)
    await later.recorder.close()
    expect(linesOf(path)).toHaveLength(2)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('keeps the lines in order of time where the clock goes back', async () => {
    const { path, recorder } = recorderAt('clock.jsonl', { times: [5000, 4000, 6000] })
    for (let i = 0; i < 3; i++) recorder.record(request)
    await recorder.close()
    const times = linesOf(path).map((line) => JSON.parse(line).timestamp)
    expect(times).toEqual([5000, 5000, 6000])
  })

  it('keeps two files of the size that is allowed, and no more', async () => {
    const { path, recorder } = recorderAt('full.jsonl', { maxBytes: 1000 })
    for (let i = 0; i < 40; i++) recorder.record({ ...request, promptTokens: i })
    await recorder.close()
    for (const each of [path, `${path}.1`]) expect(statSync(each).size).toBeLessThanOrEqual(1000)
    const last = linesOf(path).at(-1) ?? ''
    expect(JSON.parse(last).input_length).toBe(39)
  })

  it('ends with one warning when the file cannot be written', async () => {
    const { recorder, warnings } = recorderAt('no-such-folder/trace.jsonl')
    for (let i = 0; i < 3; i++) recorder.record(request)
    await recorder.close()
    expect(warnings).toHaveLength(1)
  })
})
