import { rmSync, symlinkSync, utimesSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { catalogue, defaultModelName } from '../../src/models/catalogue.ts'
import { parseHubRef } from '../../src/models/hub-ref.ts'
import { listModels, type PullOptions, pullModel, removeModel } from '../../src/models/index.ts'
import { type FakeHub, modelBytes, sendPart, startFakeHub } from './fake-hub.ts'
import { createModelsFolder, type ModelsFolder, refusal } from './models-folder.ts'

const spec = 'hf:owner/repo/tiny.gguf'
const name = 'owner--repo--tiny'
const model = modelBytes(20_000)
const deadPid = 2 ** 22 + 1

let folder: ModelsFolder
let hub: FakeHub
beforeEach(async () => {
  folder = createModelsFolder()
  hub = await startFakeHub(model)
})
afterEach(async () => {
  await hub.close()
  folder.remove()
})

const around = () => folder.around({ HF_ENDPOINT: hub.url })
const pull = (options: PullOptions = {}, of = spec) =>
  pullModel(of, { around: around(), ...options })

const lock = (owner: object): string =>
  folder.write(`store/${name}.lock`, JSON.stringify({ token: 't', ...owner }))

describe('pulls of one model at the same time', () => {
  it('download it once', async () => {
    const pulled = await Promise.all([pull(), pull(), pull()])
    expect(hub.requests).toHaveLength(1)
    expect(pulled.map(({ wasPresent }) => wasPresent).sort()).toEqual([false, true, true])
    expect(folder.files()).toEqual(['digests.json', `${name}.gguf`, `${name}.json`])
  })

  it('wait for another process, and say for which', async () => {
    const path = lock({ pid: process.ppid, host: hostname() })
    const notices: string[] = []
    await pull({
      onNotice(sentence) {
        notices.push(sentence)
        rmSync(path)
      },
    })
    expect(notices).toEqual([
      `Process ${process.ppid} on ${hostname()} is pulling ${name} already; waiting for it.`,
    ])
  })

  it('stop waiting when they are aborted, and leave the other one its lock', async () => {
    lock({ pid: process.ppid, host: hostname() })
    const controller = new AbortController()
    const pulling = pull({ signal: controller.signal, onNotice: () => controller.abort() })
    await expect(pulling).rejects.toHaveProperty('name', 'AbortError')
    expect(folder.files()).toEqual([`${name}.lock`])
  })

  it('take over from a process that has died', async () => {
    lock({ pid: deadPid, host: hostname() })
    await Promise.all([pull(), pull()])
    expect(hub.requests).toHaveLength(1)
  })

  it('take over from a machine that has been silent for long', async () => {
    const path = lock({ pid: process.pid, host: 'another-machine' })
    const longAgo = new Date(Date.now() - 3_600_000)
    utimesSync(path, longAgo, longAgo)
    expect((await pull()).wasPresent).toBe(false)
  })

  it('go on when the first one is aborted', async () => {
    hub.script.push(sendPart(hub, 5000))
    const controller = new AbortController()
    const first = pull({
      signal: controller.signal,
      onProgress: ({ receivedBytes }) => {
        if (receivedBytes === 5000) controller.abort()
      },
    })
    const second = first.catch(() => pull())
    await expect(first).rejects.toHaveProperty('name', 'AbortError')
    expect((await second).sizeBytes).toBe(model.length)
    expect(hub.requests[1]?.headers.range).toBe('bytes=5000-')
  })
})

describe('the store', () => {
  it('lists what was pulled, what was put there by hand, and what is left to pull', async () => {
    await pull()
    folder.write('store/mine.gguf', modelBytes(100))
    folder.write('store/broken.gguf', 'GGUF')
    const { directory, stored, available } = await listModels(around())
    expect(directory).toBe(folder.dir)
    expect(stored.map((known) => [known.name, known.source, known.sizeBytes])).toEqual([
      ['mine', 'file', 100],
      [name, spec, model.length],
    ])
    expect(available.map((known) => known.name)).toEqual(catalogue.map((known) => known.name))
  })

  it('says of a link how large the model behind it is', async () => {
    const path = folder.write('elsewhere.gguf', modelBytes(100))
    folder.write('store/other.gguf', modelBytes(50))
    symlinkSync(path, join(folder.dir, 'linked.gguf'))
    const { stored } = await listModels(around())
    expect(stored.map((known) => [known.name, known.sizeBytes])).toEqual([
      ['linked', 100],
      ['other', 50],
    ])
  })

  it('removes a model by name, path or ref, and says what that freed', async () => {
    for (const named of [name, join(folder.dir, `${name}.gguf`), spec, `${name}.gguf`]) {
      await pull()
      expect(await removeModel(named, around())).toEqual({
        name,
        path: join(folder.dir, `${name}.gguf`),
        freedBytes: model.length,
      })
      expect(folder.files()).toEqual(['digests.json'])
    }
  })

  it('removes a half download too', async () => {
    folder.write(`store/${name}.gguf.partial`, model.subarray(0, 700))
    expect((await removeModel(name, around())).freedBytes).toBe(700)
    expect(folder.files()).toEqual([])
  })

  it.each(['../outside.gguf', '/etc/hosts', 'a/b'])('refuses to remove %s', async (path) => {
    folder.write('outside.gguf', model)
    const error = await refusal(removeModel(path, around()), 'PREFIXD_E_INVALID_VALUE')
    expect(error.message).toContain('is not in the models folder')
  })

  it('refuses to remove what is not there, and names what is close', async () => {
    await pull()
    const error = await refusal(
      removeModel('owner--repo--tny', around()),
      'PREFIXD_E_MODEL_NOT_FOUND',
    )
    expect(error.next).toBe(`Did you mean ${name}?`)
    await refusal(removeModel('..', around()), 'PREFIXD_E_MODEL_NOT_FOUND')
  })

  it('refuses to remove what another process is pulling', async () => {
    folder.write(`store/${name}.gguf.partial`, model.subarray(0, 700))
    lock({ pid: process.ppid, host: hostname() })
    const error = await refusal(removeModel(name, around()), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain(`Process ${process.ppid}`)
  })
})

describe('the catalogue', () => {
  it('is what an unknown name is answered with', async () => {
    const error = await refusal(pull({}, 'gpt-5'), 'PREFIXD_E_MODEL_NOT_FOUND')
    expect(error.next).toContain(defaultModelName)
    expect(hub.requests).toEqual([])
  })

  it('has refs that can be read and pinned digests that are digests', () => {
    for (const known of catalogue) {
      expect(known.name).toBe(known.name.toLowerCase())
      expect(known.sha256 ?? '0'.repeat(64)).toMatch(/^[0-9a-f]{64}$/)
      for (const source of known.sources) {
        if (source.kind === 'hub')
          expect(parseHubRef(source.ref)).toMatchObject({ file: expect.stringMatching(/\.gguf$/) })
      }
    }
  })
})
