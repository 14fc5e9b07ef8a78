import { describe, expect, it } from 'vitest'
import { engineSettings } from '../../src/config/engine-settings.ts'
import { type Flags, loadConfig } from '../../src/config/load.ts'
import type { EngineName } from '../../src/config/schema.ts'

const around = { env: {}, home: '/home/ada', platform: 'linux', workingDir: '/home/ada' } as const
const machine = { memoryBytes: 8 * 1024 ** 3, cpuCount: 4 }

const settingsOf = (flags: Flags, engine: EngineName = 'llamacpp') =>
  engineSettings(loadConfig({ flags, around, machine }).config, engine)

describe('the settings of llama.cpp', () => {
  it('are those that somebody changed', () => {
    expect(settingsOf({})).toEqual({})
    expect(settingsOf({ 'kv-type': 'q8_0/f16', lora: 'a.gguf:0.5,b.gguf' })).toEqual({
      kvType: 'q8_0/f16',
      lora: '/home/ada/a.gguf:0.5\n/home/ada/b.gguf',
    })
  })
})

describe('the settings of mlx', () => {
  const mlx = (flags: Flags = {}) => settingsOf(flags, 'mlx')

  it('are none by default: keys and values are what the model computes in', () => {
    expect(mlx()).toEqual({})
    expect(mlx({ 'kv-type': 'f16/f16' })).toEqual({})
  })

  it.each([
    ['q8_0', 8],
    ['q4_0', 4],
    ['q4_0/q4_0', 4],
  ])('quantise keys and values for %s with %s bits', (kvType, kvBits) => {
    expect(mlx({ 'kv-type': kvType })).toEqual({ kvBits })
  })

  it('have one folder of an adapter', () => {
    expect(mlx({ lora: 'adapters/style' })).toEqual({ adapter: '/home/ada/adapters/style' })
  })

  it.each([
    ['kv-type', { 'kv-type': 'q5_1' }, 'it is f16 (as the model computes), q8_0 or q4_0'],
    ['kv-type', { 'kv-type': 'q8_0/f16' }, 'the same for keys and values'],
    ['lora', { lora: 'a,b' }, 'it is one folder'],
    ['lora', { lora: 'a:0.5' }, 'without a scale behind it'],
    ['lora', { lora: 'a:-1' }, 'without a scale behind it'],
    ['rope-scaling', { 'rope-scaling': 'yarn' }, "it follows the model's own config.json"],
    ['flash-attention', { 'flash-attention': 'off' }, 'it chooses its kernels itself'],
    ['library-dir', { 'library-dir': 'build' }, 'it loads no libraries of llama.cpp'],
  ])('refuse %s %j by its name', (field, flags: Flags, words) => {
    const refused = expect.objectContaining({
      code: 'PREFIXD_E_CONFIG',
      field,
      message: expect.stringContaining(words),
      next: expect.stringContaining('--engine llamacpp'),
    })
    expect(() => mlx(flags)).toThrow(refused)
  })
})
