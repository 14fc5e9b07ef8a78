import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/schema.ts'
import { findModels, refuseTwins } from '../../src/models/index.ts'
import { modelBytes } from './fake-hub.ts'
import { mlxFiles } from './mlx-files.ts'
import { createModelsFolder, type ModelsFolder, refusal } from './models-folder.ts'

let folder: ModelsFolder
beforeEach(() => {
  folder = createModelsFolder()
  folder.write('one/llama.gguf', modelBytes(10_000, 1))
  folder.write('two/llama.gguf', modelBytes(10_000, 2))
  for (const [name, bytes] of Object.entries(mlxFiles())) folder.write(`tiny/${name}`, bytes)
})
afterEach(() => folder.remove())

const find = (models: readonly string[], engine: Config['engine'] = 'auto') =>
  findModels({ models, engine }, { pull: false, around: folder.around() })

describe('the models of a service', () => {
  it('get the engine that their files need, in the order in which they were named', async () => {
    const found = await find(['./tiny', './one/llama.gguf'])
    expect(found.map(({ id, engine, weights }) => [id, engine, weights?.path])).toEqual([
      ['tiny', 'mlx', join(folder.home, 'tiny')],
      ['llama', 'llamacpp', join(folder.home, 'one/llama.gguf')],
    ])
  })

  it('are all for the engine that was named, which refuses files of another one', async () => {
    const error = await refusal(
      find(['./one/llama.gguf', './tiny'], 'llamacpp'),
      'PREFIXD_E_MODEL_KIND',
    )
    expect(error.message).toContain('./tiny is a folder of an MLX model')
  })

  it('answer to their own name and to the one behind --model', async () => {
    expect(await find(['./one/llama.gguf'])).toMatchObject([
      { id: 'llama', aliases: ['./one/llama.gguf'] },
    ])
  })

  it('may not answer to one name, and both are named', async () => {
    const two = ['./one/llama.gguf', './two/llama.gguf']
    const error = await refusal(find(two), 'PREFIXD_E_CONFIG')
    expect(error.field).toBe('model')
    expect(error.message).toBe(
      'model names ./one/llama.gguf and ./two/llama.gguf, and both would answer to "llama".',
    )
    const twice = await refusal(find(['./tiny', './tiny']), 'PREFIXD_E_CONFIG')
    expect(twice.message).toBe('model names ./tiny twice.')
  })
})

describe('the same weights twice', () => {
  const model = (id: string, weightsDigest: string) => ({ id, weightsDigest })

  it('are refused, and both names are said', () => {
    const twins = [model('one', 'aa'), model('other', 'bb'), model('link', 'aa')]
    expect(() => refuseTwins(twins)).toThrow(
      expect.objectContaining({
        code: 'PREFIXD_E_CONFIG',
        field: 'model',
        message: 'model names one and link, and they are the same weights.',
      }),
    )
  })

  it('are none where there are no weights', () => {
    expect(() => refuseTwins([model('one', ''), model('other', '')])).not.toThrow()
  })
})

describe('models of the fake engine', () => {
  it('are what they are called, except that the default is no name of theirs', async () => {
    const names = async (models: readonly string[]) =>
      (await find(models, 'fake')).map(({ id, weights }) => [id, weights])
    expect(await names(['a', 'b'])).toEqual([
      ['a', null],
      ['b', null],
    ])
    expect(await names(['smollm2-135m'])).toEqual([['fake', null]])
  })
})
