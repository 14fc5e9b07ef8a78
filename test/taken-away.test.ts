/** What a running service needs is taken away, and comes back: no restart of the service. */
import { copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, test } from 'vitest'
import { type Completion, complete, type Refusal } from '../bench/completions-client.ts'
import type { WorkerListJson } from '../src/api/native/schema.ts'
import { currentSurroundings } from '../src/config/paths.ts'
import { removeMlx } from '../src/environment/index.ts'
import { checkRemovable, removeModel } from '../src/models/index.ts'
import { familyModelPath } from './support/family-models.ts'
import { mlxIsRefused, mlxTestEnvironment } from './support/mlx-environment.ts'
import { mlxFamilyPath } from './support/mlx-family-models.ts'
import {
  createServiceFolder,
  fakeTokens,
  type TestService,
  until,
} from './support/start-service.ts'

const flags = { ctx: '512', 'block-tokens': '64' }
const ask = { tokens: fakeTokens(1, 100), answerTokens: 8 }

const tryOnce = (service: TestService): Promise<Completion | Refusal> =>
  complete(service.url, ask).catch((error: Refusal) => error)

/** Until the service has seen that no other one can start. */
async function killWorker(service: TestService): Promise<void> {
  const worker = async () => ((await service.get('/v1/workers')) as WorkerListJson).data[0]
  process.kill((await worker())?.pid ?? 0, 'SIGKILL')
  await until(worker, (report) => report?.state === 'failed')
}

/** As soon as the pause between two starts is over. */
const untilAnswered = (service: TestService) =>
  until(
    () => tryOnce(service),
    (answer) => 'text' in answer,
  )

const unavailable = { status: 503, code: 'PREFIXD_E_ENGINE_FAILED', retryAfter: null }

test('weights that are gone are named in errors, and served again when they are back', async () => {
  const folder = createServiceFolder()
  const models = join(folder.path, 'models')
  mkdirSync(models)
  const path = join(models, 'tiny.gguf')
  const aside = join(folder.path, 'aside.gguf')
  copyFileSync(familyModelPath('llama'), path)
  const env = { PREFIXD_MODELS_DIR: models }
  const service = await folder.start({ ...flags, model: 'tiny' }, {}, undefined, env)
  const { text } = await complete(service.url, ask)

  const around = { ...currentSurroundings(), env }
  const options = { force: false }
  await expect(checkRemovable('tiny', around, options)).rejects.toHaveProperty(
    'code',
    'PREFIXD_E_IN_USE',
  )
  await expect(removeModel('tiny', around)).rejects.toMatchObject({
    code: 'PREFIXD_E_IN_USE',
    message: expect.stringContaining(`(--dir ${folder.data})`),
  })
  // As --force does, or anybody.
  renameSync(path, aside)
  await killWorker(service)
  const refusal = (await tryOnce(service)) as Refusal
  expect(refusal).toMatchObject(unavailable)
  // Nothing pulls what somebody has put there by hand.
  expect(refusal.message).toContain('put them back where they were.')
  expect(refusal.message).not.toMatch(/ENOENT|send the request again/)
  expect(refusal.message).not.toContain(folder.path)
  expect((await service.post('/v1/completions', { prompt: 'x' })).status).toBe(503)
  const health = await fetch(`${service.url}/health`)
  expect([health.status, health.headers.get('x-prefixd-error')]).toEqual([503, unavailable.code])

  // Rows of the first weights must not meet these.
  writeFileSync(path, 'other weights')
  const changed = await until(
    () => tryOnce(service) as Promise<Refusal>,
    ({ message }) => !message.includes('put them back'),
  )
  expect(changed.message).toContain('are others than the service began with')

  renameSync(aside, path)
  expect(await untilAnswered(service)).toMatchObject({ text, cachedTokens: ask.tokens.length - 1 })
})

const { signal } = new AbortController()
const installMs = 600_000

describe.skipIf(mlxIsRefused !== null)('the environment of MLX', () => {
  let installed = ''
  let model = ''
  beforeAll(async () => {
    const { python, around } = await mlxTestEnvironment()
    installed = join(around.env.PREFIXD_ENGINES_DIR ?? '', 'mlx')
    model = mlxFamilyPath(python, 'llama')
  }, installMs)

  it('that is gone is named with the command that brings it back, which is all it takes', async () => {
    const folder = createServiceFolder()
    const engines = join(folder.path, 'engines')
    mkdirSync(engines)
    const [place, aside] = [join(engines, 'mlx'), join(engines, 'aside')]
    symlinkSync(installed, place)
    const env = { PREFIXD_ENGINES_DIR: engines }
    const service = await folder.start({ ...flags, model }, {}, undefined, env)
    await complete(service.url, ask)

    const removing = removeMlx({ ...currentSurroundings(), env }, signal, { force: false })
    await expect(removing).rejects.toMatchObject({ code: 'PREFIXD_E_IN_USE' })
    renameSync(place, aside)
    await killWorker(service)
    const refusal = (await tryOnce(service)) as Refusal
    expect(refusal).toMatchObject(unavailable)
    expect(refusal.message).toContain('prefixd engines install mlx')
    expect(refusal.message).not.toContain(folder.path)

    renameSync(aside, place)
    expect(await untilAnswered(service)).toMatchObject({ cachedTokens: ask.tokens.length - 1 })
  })
})
