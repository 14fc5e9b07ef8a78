/** What is wrong with window and state records, and calls that end early, on every family. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { RecordKind, TokenIds } from '../../../cache/types.ts'
import type { EngineModel, EngineSequence } from '../../../engines/types.ts'
import { type FamilyName, familyModelPath } from '../../support/family-models.ts'
import {
  type CutRecord,
  exportBoundary,
  exportOne,
  importAll,
  importOne,
  prefillCut,
} from '../../support/family-runs.ts'
import { openDefaultModel, proseTokens } from '../../support/llamacpp-model.ts'

const blockTokens = 64
const end = 3 * blockTokens
const refused = (words: string) =>
  expect.objectContaining({
    code: 'PREFIXD_E_ENGINE_RESTORE',
    message: expect.stringContaining(words),
  })

const families: readonly FamilyName[] = [
  ...(['gemma3-128', 'gpt-oss', 'lfm2', 'lfm2-window', 'qwen35', 'mamba2'] as const),
]

describe.each(families)('a sequence of %s', (family) => {
  let model: EngineModel
  let sequence: EngineSequence
  let tokens: TokenIds
  let coldLogits: Float32Array
  let rows: readonly CutRecord[]
  let exact: readonly CutRecord[]

  const coldAgain = async (): Promise<Float32Array> => {
    sequence.clear()
    return prefillCut(sequence, { tokens, cuts: [end], blockTokens }, (at) => {
      if (at === end) exportBoundary(model, sequence, at, blockTokens)
    })
  }
  beforeAll(async () => {
    const modelPath = familyModelPath(family)
    model = await openDefaultModel({ modelPath, contextTokens: 1024 })
    sequence = model.openSequence()
    tokens = proseTokens(model, end + 20, 9)
    const records: CutRecord[] = []
    coldLogits = await prefillCut(sequence, { tokens, cuts: [], blockTokens }, (at) => {
      if (at < end) records.push(exportOne(sequence, 'kv', at - blockTokens, at))
      if (at === end) records.push(...exportBoundary(model, sequence, at, blockTokens))
    })
    rows = records.filter(({ kind }) => kind === 'kv')
    exact = records.filter(({ kind }) => kind !== 'kv')
  })
  afterAll(() => model.close())
  beforeEach(() => sequence.clear())

  const changed = (record: CutRecord, change: (view: DataView) => void): CutRecord => {
    const bytes = record.bytes.slice()
    change(new DataView(bytes.buffer))
    return { ...record, bytes }
  }
  /** Where the count of a state's cells stands: behind the head, and an empty window if any. */
  const stateAt = (): number => (family === 'lfm2-window' ? 16 : 8)

  const faults: readonly (readonly [string, RecordKind, (view: DataView) => void, string])[] = [
    ['a wrong magic', 'window', (it) => it.setUint32(0, 1), 'magic'],
    ['a huge count', 'window', (it) => it.setUint32(12, 0x7fffffff, true), 'holds 2147483647'],
    ['two streams', 'window', (it) => it.setUint32(8, 2, true), 'streams'],
    ['a position twice', 'window', (it) => it.setInt32(16, it.getInt32(28, true), true), 'twice'],
    ['a position ahead', 'window', (it) => it.setInt32(16, end, true), 'position'],
    ['two owners of a token', 'window', (it) => it.setUint32(20, 2, true), 'position'],
    ['a wrong magic', 'state', (it) => it.setUint32(0, 1), 'magic'],
    ['a huge count', 'state', (it) => it.setUint32(stateAt(), 0x7fffffff, true), 'holds 21474836'],
    ['no state', 'state', (it) => it.setUint32(stateAt(), 0, true), 'holds 0 states'],
    ['an old position', 'state', (it) => it.setInt32(stateAt() + 4, end - 2, true), 'position'],
    ['an owner', 'state', (it) => it.setUint32(stateAt() + 8, 1, true), 'position'],
    ['fewer layers', 'state', (it) => it.setUint32(stateAt() + 16, 1, true), 'took 0'],
    ['rows of another size', 'state', (it) => it.setUint32(stateAt() + 24, 4, true), 'took 0'],
  ]

  it('refuses damaged windows and states, and computes the next prompt right', async () => {
    let tried = 0
    for (const [what, kind, change, words] of faults) {
      const record = exact.find((it) => it.kind === kind)
      if (record === undefined) continue
      importAll(sequence, rows)
      const before = exact.slice(0, exact.indexOf(record))
      importAll(sequence, before)
      expect(() => importOne(sequence, changed(record, change)), what).toThrow(refused(words))
      expect(sequence.tokenCount).toBe(0)
      tried += 1
    }
    expect(tried).toBeGreaterThanOrEqual(6)
    expect(await coldAgain()).toEqual(coldLogits)
  })

  it('refuses rows that end with a window or state of their own', () => {
    const [row] = rows
    if (row === undefined || row.bytes.length === 0) return
    const foreign = changed(row, (view) => view.setUint8(view.byteLength - 1, 0x7f))
    expect(() => importOne(sequence, foreign)).toThrow(refused('does not end where its tokens do'))
  })

  it('computes and exports nothing while its window or state is missing', async () => {
    for (const kind of exact.map((record) => record.kind)) {
      importAll(sequence, rows)
      importAll(
        sequence,
        exact.filter((record) => record.kind !== kind),
      )
      await expect(sequence.compute(tokens.subarray(end), true)).rejects.toThrow(kind)
      const into = new Uint8Array(sequence.recordBytes(kind, end - blockTokens, end))
      expect(() => sequence.exportRecord(kind, end - blockTokens, end, into)).toThrow(kind)
      sequence.clear()
    }
  })

  it('exports a window or state of no place but the one where it stands', async () => {
    await coldAgain()
    for (const { kind } of exact) {
      const into = new Uint8Array(sequence.recordBytes(kind, end - blockTokens, end))
      expect(() => sequence.exportRecord(kind, end - blockTokens, end, into)).toThrow(
        'Cannot export',
      )
    }
  })

  it('is empty or whole after an aborted call, and computes the next prompt right', async () => {
    await sequence.compute(tokens.subarray(0, 100), false)
    const call = sequence.compute(proseTokens(model, 400, 3), true)
    sequence.abort()
    expect(await call).toBe('aborted')
    expect([0, 100]).toContain(sequence.tokenCount)
    if (model.info.layout.kinds.includes('state')) expect(sequence.tokenCount).toBe(0)
    expect(await coldAgain()).toEqual(coldLogits)
  })

  it('ends a call of one token although it is aborted: its state would be lost', async () => {
    await sequence.compute(tokens.subarray(0, 100), true)
    const call = sequence.compute(tokens.subarray(100, 101), true)
    sequence.abort()
    expect(await call).toBe('ok')
    expect(sequence.tokenCount).toBe(101)
  })

  it('notices what is not a number in a window or state, and forgets it', async () => {
    for (const record of exact) {
      importAll(sequence, rows)
      // In the last rows: behind them at most the heads of rows without bytes follow.
      const poisoned = changed(record, (view) => {
        for (let back = 128; back < 640; back += 1) view.setUint8(view.byteLength - back, 0xff)
      })
      for (const each of exact) importOne(sequence, each === record ? poisoned : each)
      await expect(sequence.compute(tokens.subarray(end), true), record.kind).rejects.toThrow(
        'not numbers',
      )
      expect(sequence.tokenCount).toBe(0)
    }
    expect(await coldAgain()).toEqual(coldLogits)
  })
})
