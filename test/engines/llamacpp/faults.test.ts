import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TokenIds } from '../../../cache/types.ts'
import type { EngineModel, EngineSequence } from '../../../engines/types.ts'
import {
  openDefaultModel,
  prefill,
  proseTokens,
  restoreRecord,
  type StoredRecord,
} from '../../support/llamacpp-model.ts'

const recordTokens = 90
/** Where the layers' rows begin: behind 16 bytes and 12 for each token. */
const layersAt = 16 + recordTokens * 12

describe('a sequence of the real model', () => {
  let model: EngineModel
  let sequence: EngineSequence
  let prompt: TokenIds
  let coldLogits: Float32Array
  let block: StoredRecord

  beforeAll(async () => {
    model = await openDefaultModel({ contextTokens: 512 })
    sequence = model.openSequence()
    prompt = proseTokens(model, 100, 11)
    coldLogits = await coldAgain()
    await sequence.compute(prompt.subarray(0, recordTokens), false)
    const bytes = new Uint8Array(sequence.recordBytes('kv', 0, recordTokens))
    sequence.exportRecord('kv', 0, recordTokens, bytes)
    block = { from: 0, to: recordTokens, bytes }
    sequence.clear()
  })
  afterAll(() => model.close())

  const changed = (change: (bytes: DataView) => void): Uint8Array => {
    const bytes = block.bytes.slice()
    change(new DataView(bytes.buffer))
    return bytes
  }
  const coldAgain = async (): Promise<Float32Array> => {
    const logits = await prefill(sequence, prompt)
    sequence.clear()
    return logits
  }

  test('that is aborted in the middle of a call resumes as if nothing had happened', async () => {
    const long = proseTokens(model, 320, 13)
    const uninterrupted = await prefill(sequence, long)
    sequence.clear()
    await sequence.compute(long.subarray(0, 256), false)
    const call = sequence.compute(long.subarray(256), true)
    await cpuSpentMs(40)
    sequence.abort()
    expect(await call).toBe('aborted')
    expect(sequence.tokenCount).toBe(256)
    expect(await prefill(sequence, long)).toEqual(uninterrupted)
    sequence.clear()
  })

  test('takes no notice of an abort while nothing is computed', async () => {
    sequence.abort()
    expect(await coldAgain()).toEqual(coldLogits)
  })

  test.each([
    ['a shortened record', () => block.bytes.subarray(0, -1), 'bytes instead of'],
    ['an empty record', () => new Uint8Array(0), 'bytes instead of'],
    ['a wrong magic', () => changed((b) => b.setUint32(0, 1)), 'magic'],
    ['a huge token count', () => changed((b) => b.setUint32(12, 0x7fffffff, true)), 'holds'],
    ['two streams', () => changed((b) => b.setUint32(8, 2, true)), 'streams'],
    ['another position', () => changed((b) => b.setInt32(16, 9, true)), 'position'],
    ['another number of layers', () => changed((b) => b.setUint32(layersAt + 4, 1, true)), ''],
    ['a row of another size', () => changed((b) => b.setUint8(layersAt + 12, 1)), 'took 0'],
  ])('refuses %s, is empty then, and computes the next prompt right', async (_, bytes, words) => {
    expect(() => sequence.importRecord(restoreRecord(block, recordTokens), bytes())).toThrow(
      expect.objectContaining({
        code: 'PREFIXD_E_ENGINE_RESTORE',
        message: expect.stringContaining(words),
      }),
    )
    expect(sequence.tokenCount).toBe(0)
    expect(await coldAgain()).toEqual(coldLogits)
  })

  test('refuses a record that does not continue what stands in it', async () => {
    await sequence.compute(prompt.subarray(0, 7), false)
    expect(() => sequence.importRecord(restoreRecord(block, recordTokens), block.bytes)).toThrow(
      'the sequence holds 7 tokens',
    )
    expect(sequence.tokenCount).toBe(0)
  })

  /** NaN in the values of the last layer, rows of 192 halves at the end of the record. */
  const poisoned = (): Uint8Array =>
    changed((bytes) => {
      for (let at = bytes.byteLength - recordTokens * 384; at < bytes.byteLength; at += 1) {
        bytes.setUint8(at, 0x7e)
      }
    })

  test('notices NaN in a restored record, and does not carry it into the next request', async () => {
    sequence.importRecord(restoreRecord(block, recordTokens), poisoned())
    await expect(prefill(sequence, prompt)).rejects.toMatchObject({
      code: 'PREFIXD_E_ENGINE_COMPUTE',
      message: expect.stringContaining('not numbers'),
    })
    expect(sequence.tokenCount).toBe(0)
    expect(await coldAgain()).toEqual(coldLogits)
  })

  test('zeroes a restored record that was closed before anything proved it good', async () => {
    sequence.importRecord(restoreRecord(block, recordTokens), poisoned())
    sequence.clear()
    // 64 rows and more are computed in tiles, which multiply what the mask leaves out by zero.
    const short = await prefill(sequence, prompt.subarray(0, 70))
    expect(short.every((logit) => Number.isFinite(logit))).toBe(true)
    sequence.clear()
  })

  test.each([
    ['more tokens than the context holds', 513],
    ['no tokens', 0],
  ])('refuses to compute %s', async (_, tokenCount) => {
    const tokens = proseTokens(model, tokenCount, 12)
    await expect(sequence.compute(tokens, true)).rejects.toMatchObject({
      code: 'PREFIXD_E_ENGINE_COMPUTE',
    })
  })

  test('refuses token ids that are not in the vocabulary', async () => {
    await expect(
      sequence.compute(Uint32Array.of(1, model.info.vocabularySize), true),
    ).rejects.toThrow('is not in the vocabulary')
  })

  test('gives no logits that belong to nothing that stands in it', async () => {
    await prefill(sequence, prompt.subarray(0, 20))
    sequence.trim(10)
    expect(() => sequence.logits()).toThrow('no logits behind the last token')
    sequence.clear()
  })
})

/** Resolves when this process has used so much CPU time: the call is under way, and not over. */
async function cpuSpentMs(ms: number): Promise<void> {
  const start = process.cpuUsage()
  for (;;) {
    const { user, system } = process.cpuUsage(start)
    if ((user + system) / 1000 > ms) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}
