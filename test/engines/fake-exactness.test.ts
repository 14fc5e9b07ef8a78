import { describe, expect, it } from 'vitest'
import type { RecordKind } from '../../cache/types.ts'
import { checksums } from '../../engines/checksum.ts'
import { RestoreError } from '../../engines/errors.ts'
import { loadFakeModel } from '../../engines/fake/model.ts'
import { restoreRecords } from '../../engines/restore.ts'
import { createTurns } from '../../engines/turns.ts'
import type { EngineModel, EngineSequence, RestoreRecord } from '../../engines/types.ts'

const worker = {
  modelPath: 'fake',
  contextTokens: 1024,
  sequences: 2,
  threads: 1,
  blockTokens: 16,
  reuse: 'token',
  engine: {},
} as const

const prompt = Uint32Array.from({ length: 50 }, (_, at) => (at * 37) % 256)

const load = (engine: Record<string, string | number | boolean> = {}): Promise<EngineModel> =>
  loadFakeModel({ ...worker, engine }, () => {})

async function computed(model: EngineModel, ...calls: Uint32Array[]): Promise<EngineSequence> {
  const sequence = model.openSequence()
  for (const tokens of calls) await sequence.compute(tokens, true)
  return sequence
}

function exportSpan(sequence: EngineSequence, from: number, to: number, kind: RecordKind = 'kv') {
  const bytes = new Uint8Array(sequence.recordBytes(kind, from, to))
  sequence.exportRecord(kind, from, to, bytes)
  const place = { offset: 0, sizeBytes: bytes.length, generation: 1 }
  const crc32s = checksums(bytes)
  const record: RestoreRecord = { kind, from, to, keepTo: to, crc32s, ...place }
  return { record, bytes }
}

describe('the fake engine', () => {
  it('gives the same bits from restored rows as from computed ones, whatever the calls', async () => {
    const model = await load()
    const cold = await computed(model, prompt)
    const warm = model.openSequence()
    for (const [from, to] of [
      [0, 16],
      [16, 32],
      [32, 45],
    ] as const) {
      const { record, bytes } = exportSpan(cold, from, to)
      warm.importRecord(record, bytes)
    }
    await warm.compute(prompt.subarray(45), true)
    expect(warm.logits()).toEqual(cold.logits())
    const pieces = await computed(model, prompt.subarray(0, 7), prompt.subarray(7))
    expect(pieces.logits()).toEqual(cold.logits())
  })

  it('has records of exactly the size that its layout says', async () => {
    const model = await load({ bytesPerToken: 128 })
    const { kvFixedBytes, kvBytesPerToken } = model.info.layout
    const sequence = await computed(model, prompt)
    expect(sequence.recordBytes('kv', 3, 20)).toBe(kvFixedBytes + 17 * kvBytesPerToken)
    expect(kvBytesPerToken).toBe(128)
  })

  it('answers differently after any flipped byte of any row', async () => {
    const model = await load()
    const cold = await computed(model, prompt)
    const { record, bytes } = exportSpan(cold, 0, 50)
    for (let at = model.info.layout.kvFixedBytes; at < bytes.length; at += 61) {
      const damaged = bytes.slice()
      damaged[at] = (damaged[at] ?? 0) ^ 0x80
      const sequence = model.openSequence()
      sequence.importRecord(record, damaged)
      expect(sequence.logits()).not.toEqual(cold.logits())
    }
  })

  it('answers differently after a misplaced, missing or foreign record', async () => {
    const model = await load()
    const cold = await computed(model, prompt)
    const [first, second] = [exportSpan(cold, 0, 16), exportSpan(cold, 16, 32)]
    const other = exportSpan(
      await computed(
        model,
        prompt.map((token) => token ^ 1),
      ),
      0,
      16,
    )
    const restoredFrom = (...parts: { record: RestoreRecord; bytes: Uint8Array }[]) => {
      const sequence = model.openSequence()
      for (const { record, bytes } of parts) sequence.importRecord(record, bytes)
      return sequence.logits()
    }
    const right = restoredFrom(first, second)
    for (const wrong of [[second, first], [first], [first, first], [other, second]]) {
      expect(restoredFrom(...wrong)).not.toEqual(right)
    }
  })

  it('answers differently after any flipped byte of a window or state, and after a stale one', async () => {
    for (const kind of ['window', 'state'] as const) {
      const model = await load({ layout: `kv+${kind}` })
      const rowsOf = async (tokens: Uint32Array) => {
        const sequence = await computed(model, tokens)
        return { rows: exportSpan(sequence, 0, 50), exact: exportSpan(sequence, 0, 50, kind) }
      }
      const { rows, exact } = await rowsOf(prompt)
      const answerWith = async (bytes: Uint8Array) => {
        const sequence = model.openSequence()
        sequence.importRecord(rows.record, rows.bytes)
        sequence.importRecord(exact.record, bytes)
        await sequence.compute(Uint32Array.of(1), true)
        return sequence.logits()
      }
      const right = await answerWith(exact.bytes)
      expect(right).toEqual((await computed(model, prompt, Uint32Array.of(1))).logits())
      const header = 16
      for (let at = header; at < exact.bytes.length; at += 7) {
        const damaged = exact.bytes.slice()
        damaged[at] = (damaged[at] ?? 0) ^ 0x80
        expect(await answerWith(damaged)).not.toEqual(right)
      }
      const stale = await rowsOf(prompt.map((token, at) => (at === 3 ? token ^ 1 : token)))
      expect(await answerWith(stale.exact.bytes)).not.toEqual(right)
    }
  })

  it('forgets what was trimmed and cleared', async () => {
    const model = await load()
    const sequence = await computed(model, prompt)
    const cold = await computed(model, prompt.subarray(0, 20))
    sequence.trim(20)
    expect(sequence.logits()).toEqual(cold.logits())
    sequence.clear()
    expect(sequence.tokenCount).toBe(0)
    await sequence.compute(prompt.subarray(0, 20), true)
    expect(sequence.logits()).toEqual(cold.logits())
  })

  it('has other weights, and says so, for another seed', async () => {
    const [one, two] = [await load(), await load({ weightsSeed: 2 })]
    expect(one.info.fingerprint).not.toEqual(two.info.fingerprint)
    const logits = [(await computed(one, prompt)).logits(), (await computed(two, prompt)).logits()]
    expect(logits[0]).not.toEqual(logits[1])
  })

  it('refuses settings that it does not know', async () => {
    const unknown = load({ crashAtTokens: 5 })
    await expect(unknown).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_SETTINGS' })
    await expect(load({ bytesPerToken: 6 })).rejects.toThrow('a multiple of 4')
  })

  it('writes chats in its template, and refuses roles and parts that it has no word for', async () => {
    const model = await load()
    const messages = [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hi' },
    ]
    const text = model.render({ messages, addGenerationPrompt: true })
    expect(text).toBe('<|system|>Be kind.<|end|>\n<|user|>Hi<|end|>\n<|assistant|>')
    const tokens = model.tokenize(text, { addSpecial: true, parseSpecial: true })
    expect([...tokens.subarray(0, 3)]).toEqual([256, 258, 66])
    const wrong = { messages: [{ role: 'wizard', content: '' }], addGenerationPrompt: false }
    expect(() => model.render(wrong)).toThrow('`messages[0].role` must be')
  })
})

describe('restoring', () => {
  it('refuses damaged, short and misplaced records before the engine sees them', async () => {
    const model = await load()
    const cold = await computed(model, prompt)
    const { record, bytes } = exportSpan(cold, 0, 16)
    const damaged = bytes.slice()
    damaged[20] = (damaged[20] ?? 0) ^ 1
    const tries = [
      { record, bytes: damaged, corrupt: true },
      { record: { ...record, crc32s: [] }, bytes, corrupt: true },
      { record, bytes: bytes.subarray(1), corrupt: false },
      { record: { ...record, from: 16, to: 32, keepTo: 32 }, bytes, corrupt: false },
      { record: { ...record, keepTo: 17 }, bytes, corrupt: false },
    ]
    for (const { record, bytes, corrupt } of tries) {
      const sequence = model.openSequence()
      const restoring = restoreRecords(sequence, [record], () => bytes, createTurns())
      const error: unknown = await restoring.catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(RestoreError)
      expect(error).toMatchObject({ recordIndex: 0, corrupt })
      expect(sequence.tokenCount).toBe(0)
    }
  })

  it('does not check again what the service has verified', async () => {
    const model = await load()
    const { record, bytes } = exportSpan(await computed(model, prompt), 0, 16)
    const sequence = model.openSequence()
    const verified = { ...record, crc32s: [], verified: true }
    await restoreRecords(sequence, [verified], () => bytes, createTurns())
    expect(sequence.tokenCount).toBe(16)
  })

  it('empties the sequence when the engine itself refuses', async () => {
    const model = await load()
    const refusing = await load({ failRestore: true })
    const { record, bytes } = exportSpan(await computed(model, prompt), 0, 16)
    const restoring = restoreRecords(refusing.openSequence(), [record], () => bytes, createTurns())
    await expect(restoring).rejects.toMatchObject({ recordIndex: 0, corrupt: false })
    await expect(restoring).rejects.toThrow('failRestore was ordered')
  })
})
