import { dirname } from 'node:path'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { complete, completeCold } from '../../bench/completions-client.ts'
import { mlxIsRefused, mlxTestEnvironment } from '../support/mlx-environment.ts'
import { mlxFamilyPath } from '../support/mlx-family-models.ts'
import { otherMlxBuild } from '../support/mlx-other-build.ts'
import { createServiceFolder, until } from '../support/start-service.ts'
import {
  expectRestarted,
  expectRetryAdvice,
  storedBlocks,
  workerOf,
} from '../support/worker-death.ts'

const blockTokens = 256
const tokensFrom = (start: number, count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, at) => 3 + ((start * 31 + at * 7 + at ** 2) % 440))

describe.skipIf(mlxIsRefused !== null)('a service with the MLX engine', () => {
  let python = ''
  let flags: Record<string, string> = {}
  beforeAll(async () => {
    ;({ python } = await mlxTestEnvironment())
    flags = { engine: 'mlx', model: mlxFamilyPath(python, 'llama'), ctx: '8192' }
  })
  beforeEach(() => {
    vi.stubEnv('PREFIXD_ENGINES_DIR', dirname(dirname(dirname(python))))
    return () => vi.unstubAllEnvs()
  })

  it('answers 503 and says to retry when its worker is killed in a prefill, and keeps blocks', async () => {
    const service = await createServiceFolder().start(flags)
    const long = { tokens: tokensFrom(1, 8000), answerTokens: 4 }
    const answer = complete(service.url, long).catch((error: unknown) => error)
    await until(
      () => storedBlocks(service),
      (blocks) => blocks >= 2,
    )
    const killed = await workerOf(service)
    process.kill(killed.pid, 'SIGKILL')

    expectRetryAdvice(await answer)

    const short = { tokens: tokensFrom(1, 2 * blockTokens + 50), answerTokens: 4 }
    const next = await complete(service.url, short)
    // What is there of the third block is of use too, if it was saved.
    expect(next.cachedTokens).toBeGreaterThanOrEqual(2 * blockTokens)
    expect(next.text).toBe((await completeCold(service.url, short)).text)
    await expectRestarted(service, killed.pid)
  })

  it('finds nothing of a worker of another version, and inspect says why', async () => {
    const folder = createServiceFolder()
    const prompt = { tokens: tokensFrom(2, 2 * blockTokens + 50), answerTokens: 4 }
    vi.stubEnv('PREFIXD_ENGINES_DIR', otherMlxBuild(python, '0.32.99'))
    const other = await folder.start(flags)
    expect(await complete(other.url, prompt)).toMatchObject({ cachedTokens: 0 })
    expect(await complete(other.url, prompt)).toMatchObject({ cachedTokens: 2 * blockTokens + 49 })
    await other.stop()

    vi.stubEnv('PREFIXD_ENGINES_DIR', dirname(dirname(dirname(python))))
    const service = await folder.start(flags)
    const list = (await service.get('/v1/cache/prefixes')) as { data: { id: string }[] }
    const [stored] = list.data
    const detail = await service.get(`/v1/cache/prefixes/${stored?.id}`)
    const served = expect.stringMatching(/^mlx \S+, mlx-lm (?!0\.32\.99)\S+$/)
    expect(detail).toMatchObject({
      stored_by: expect.stringMatching(/^mlx: mlx \S+, mlx-lm 0\.32\.99$/),
      mismatches: [{ name: 'build', stored: expect.stringContaining('0.32.99'), served }],
    })
    const first = await complete(service.url, prompt)
    expect(first).toMatchObject({ cachedTokens: 0 })
    // It is stored once more, and found by the worker that has stored it.
    expect(await complete(service.url, prompt)).toMatchObject({
      cachedTokens: 2 * blockTokens + 49,
    })
    await until(
      () => storedBlocks(service),
      (blocks) => blocks >= 2 * 3,
    )
  })
})
