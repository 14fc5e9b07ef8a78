/** llama.cpp and MLX in one service: two processes of two kinds, one arena and one cache. */
import { beforeAll, describe, expect, it } from 'vitest'
import { complete } from '../bench/completions-client.ts'
import type { WorkerListJson } from '../src/api/native/schema.ts'
import { familyModelPath } from './support/family-models.ts'
import { mlxIsRefused, mlxTestEnvironment } from './support/mlx-environment.ts'
import { mlxFamilyPath } from './support/mlx-family-models.ts'
import { createServiceFolder, fakeTokens, type ServiceFolder } from './support/start-service.ts'

const promptTokens = 300
const installMs = 600_000

describe.skipIf(mlxIsRefused !== null)('two engines in one service', () => {
  let models: readonly [gguf: string, mlx: string]
  let env: Record<string, string> = {}
  beforeAll(async () => {
    const { python, around } = await mlxTestEnvironment()
    models = [familyModelPath('gemma3-128'), mlxFamilyPath(python, 'llama')]
    env = { PREFIXD_ENGINES_DIR: around.env.PREFIXD_ENGINES_DIR ?? '' }
  }, installMs)

  const start = (folder: ServiceFolder) =>
    folder.start({ model: models.join(','), ctx: '512', 'block-tokens': '64' }, {}, undefined, env)
  const ask = (model: string) => ({
    model,
    tokens: fakeTokens(1, promptTokens),
    answerTokens: 12,
  })

  it('serve a file and a folder, each restored from the tiers that they share', async () => {
    const folder = createServiceFolder()
    const before = await start(folder)
    const { data } = (await before.get('/v1/workers')) as WorkerListJson
    expect(data.map(({ engine, state }) => [engine, state])).toEqual([
      ['llamacpp', 'ready'],
      ['mlx', 'ready'],
    ])
    const [gguf, mlx] = models
    // At the same time: each worker writes into the arena while the other one does.
    const cold = await Promise.all([
      complete(before.url, ask(gguf)),
      complete(before.url, ask(mlx)),
    ])
    expect(cold.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 0])
    const warm = await Promise.all([
      complete(before.url, ask(gguf)),
      complete(before.url, ask(mlx)),
    ])
    const hit = { cachedTokens: promptTokens - 1, tier: 'ram' }
    expect(warm).toMatchObject([hit, hit])
    await before.kill()

    const after = await start(folder)
    const again = [await complete(after.url, ask(mlx)), await complete(after.url, ask(gguf))]
    const same = warm.map(({ text }) => ({ ...hit, text, tier: 'ssd' }))
    expect(again.reverse()).toMatchObject(same)
  })

  it('live apart: a worker killed with -9 leaves the other engine answering', async () => {
    const service = await start(createServiceFolder())
    const [gguf, mlx] = models
    await complete(service.url, ask(gguf))
    const { data } = (await service.get('/v1/workers')) as WorkerListJson
    process.kill(data.find(({ engine }) => engine === 'mlx')?.pid ?? 0, 'SIGKILL')
    expect((await complete(service.url, ask(gguf))).cachedTokens).toBe(promptTokens - 1)
    // Waits for the new process.
    expect((await complete(service.url, ask(mlx))).cachedTokens).toBe(0)
    const { data: now } = (await service.get('/v1/workers')) as WorkerListJson
    expect(now.map(({ restarts }) => restarts)).toEqual([0, 1])
  })
})
