import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EngineModel, EngineSequence } from '../../../engines/types.ts'
import { openDefaultModel, prefill, proseTokens } from '../../support/llamacpp-model.ts'

let model: EngineModel
let sequence: EngineSequence

beforeAll(async () => {
  model = await openDefaultModel({ contextTokens: 512 })
  sequence = model.openSequence()
  await prefill(sequence, proseTokens(model, 70, 21))
})
afterAll(() => model.close())

test.each([
  [0, 1],
  [0, 64],
  [13, 70],
  [69, 70],
])('a record of tokens %i to %i is as large as the layout says', (from, to) => {
  const { kvFixedBytes, kvBytesPerToken } = model.info.layout
  const sizeBytes = kvFixedBytes + (to - from) * kvBytesPerToken
  expect(sequence.recordBytes('kv', from, to)).toBe(sizeBytes)
  // llama.cpp fills it to the last byte: a pattern that no record ends with is overwritten.
  const into = new Uint8Array(sizeBytes).fill(0xa5)
  sequence.exportRecord('kv', from, to, into)
  expect(into.subarray(-8)).not.toEqual(new Uint8Array(8).fill(0xa5))
})

test('a record is exported twice with the same bytes, so that checksums can be compared', () => {
  const first = new Uint8Array(sequence.recordBytes('kv', 10, 60))
  const second = new Uint8Array(first.length)
  sequence.exportRecord('kv', 10, 60, first)
  sequence.exportRecord('kv', 10, 60, second)
  expect(second).toEqual(first)
})

test('a buffer of another size is refused before anything is written', () => {
  const into = new Uint8Array(sequence.recordBytes('kv', 0, 10) - 1)
  expect(() => sequence.exportRecord('kv', 0, 10, into)).toThrow('the record takes')
  expect(into.every((byte) => byte === 0)).toBe(true)
})

test('tokens that are not in the sequence cannot be exported', () => {
  const into = new Uint8Array(sequence.recordBytes('kv', 60, 71))
  expect(() => sequence.exportRecord('kv', 60, 71, into)).toThrow('of 70')
})

test('a plain model has no records of other kinds', () => {
  expect(() => sequence.recordBytes('state', 0, 10)).toThrow('kv records only')
})
