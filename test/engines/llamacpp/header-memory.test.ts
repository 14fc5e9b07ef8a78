import { expect, it } from 'vitest'
import { loadModel } from '../../../engines/llamacpp/model.ts'
import type { EngineModel } from '../../../engines/types.ts'
import { readGgufMetadata } from '../../../src/models/gguf-metadata.ts'
import { halfPrecision, rowBytes } from '../../../src/models/kv-types.ts'
import { kvBytesPerToken, modelMemoryOf } from '../../../src/models/model-memory.ts'
import { defaultModelPath } from '../../support/default-model.ts'
import { familyModelPath, familyNames } from '../../support/family-models.ts'

/** Beside the rows, a record says of each token where it stands: 12 bytes, 24 with M-RoPE. */
const cellBytes = [12, 24]
/** Of a record, whatever it holds: less than 16 bytes for each layer, and a head. */
const headBytes = 1000
const tokens = 300

async function load(modelPath: string, engine = {}): Promise<EngineModel> {
  const options = { contextTokens: 512, sequences: 1, threads: 1, blockTokens: 256 }
  return loadModel({ ...options, modelPath, reuse: 'token', engine }, () => {})
}

it.each([
  ['default model', defaultModelPath],
  ...familyNames.map((name) => [name, () => familyModelPath(name)] as const),
] as const)('the header of %s tells what llama.cpp keeps', async (_, pathOf) => {
  const path = pathOf()
  const memory = modelMemoryOf(await readGgufMetadata(path))
  if (memory === null) throw new Error('the header does not tell')
  const model = await load(path)
  const { layout } = model.info
  const sequence = model.openSequence()
  await sequence.compute(new Uint32Array(tokens).fill(70), true)

  const ofToken = kvBytesPerToken(memory, halfPrecision)
  expect(layout.rowBytesPerToken).toBe(ofToken)
  if (layout.kvBytesPerToken > 0) expect(cellBytes).toContain(layout.kvBytesPerToken - ofToken)
  const missing = layout.kinds.filter((kind) => kind !== 'kv' && !memory.kinds.includes(kind))
  expect(missing).toEqual([])
  const { window, stateBytes } = memory
  if (memory.kinds.includes('window')) {
    const rows = rowBytes(window.keys + window.values, 'f16') + (cellBytes[0] as number)
    const bytes =
      sequence.recordBytes('window', 256, tokens) - Math.min(tokens, window.tokens) * rows
    expect(bytes).toBeGreaterThanOrEqual(0)
    expect(bytes).toBeLessThan(headBytes)
  }
  if (memory.kinds.includes('state')) {
    const bytes = sequence.recordBytes('state', 256, tokens) - stateBytes
    expect(bytes).toBeGreaterThanOrEqual(0)
    expect(bytes).toBeLessThan(headBytes)
  }
  const fullWindow = window.tokens * rowBytes(window.keys + window.values, 'f16')
  const cells = window.tokens * (cellBytes[0] as number)
  const rest = layout.boundaryBytes - fullWindow - stateBytes - (fullWindow > 0 ? cells : 0)
  expect(rest).toBeGreaterThanOrEqual(0)
  expect(rest).toBeLessThan(2 * headBytes)
  await model.close()
})

it.each(familyNames)('the header of %s tells what a token takes in q8_0', async (name) => {
  const path = familyModelPath(name)
  const memory = modelMemoryOf(await readGgufMetadata(path))
  if (memory === null) throw new Error('the header does not tell')
  const model = await load(path, { kvType: 'q8_0' })
  const types = { keys: 'q8_0', values: 'q8_0' } as const
  expect(model.info.layout.rowBytesPerToken).toBe(kvBytesPerToken(memory, types))
  await model.close()
})
