import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listModels, type PullOptions, pullModel } from '../../src/models/index.ts'
import {
  answer,
  type FakeHub,
  headersOf,
  modelBytes,
  sendFile,
  sendPart,
  sha256,
  startFakeHub,
} from './fake-hub.ts'
import { createModelsFolder, type ModelsFolder, refusal } from './models-folder.ts'

const spec = 'hf:owner/repo/Q4/tiny model.gguf'
const name = 'owner--repo--Q4--tiny model'
const model = modelBytes(200_000)
const impatient = { pullBackoffMinMs: 0, pullBackoffMaxMs: 0, pullSyncBytes: 10_000 }

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

const pull = (
  options: PullOptions & { env?: Record<string, string>; spec?: string } = {},
): ReturnType<typeof pullModel> =>
  pullModel(options.spec ?? spec, {
    around: folder.around({ HF_ENDPOINT: hub.url, ...options.env }),
    ...options,
    patience: { ...impatient, ...options.patience },
  })

const stored = (): Buffer => readFileSync(join(folder.dir, `${name}.gguf`))
const rangeOf = (request: number): string | undefined => hub.requests[request]?.headers.range

/** Pulls until this many bytes have come, then aborts. */
async function pullUntil(receivedBytes: number): Promise<void> {
  hub.script.push(sendPart(hub, receivedBytes))
  const controller = new AbortController()
  const pulling = pull({
    signal: controller.signal,
    onProgress: (progress) => {
      if (progress.receivedBytes >= receivedBytes) controller.abort()
    },
  })
  await expect(pulling).rejects.toHaveProperty('name', 'AbortError')
}

describe('a pull from the hub', () => {
  it('brings the file whole, once, and leaves nothing beside it', async () => {
    const seen: (number | null)[] = []
    const pulled = await pull({
      spec: `${spec}@refs/pr/1`,
      onProgress: ({ receivedBytes, totalBytes }) => seen.push(receivedBytes, totalBytes),
    })
    expect(hub.requests[0]?.url).toBe('/owner/repo/resolve/refs%2Fpr%2F1/Q4/tiny%20model.gguf')
    expect(hub.requests[0]?.headers.authorization).toBeUndefined()
    expect(hub.requests[0]?.headers['accept-encoding']).toBe('identity')
    expect(pulled).toMatchObject({
      name: `${name}@refs--pr--1`,
      digest: sha256(model),
      sizeBytes: model.length,
      source: `${spec}@refs/pr/1`,
      wasPresent: false,
    })
    expect(readFileSync(pulled.path).equals(model)).toBe(true)
    expect(seen.slice(0, 2)).toEqual([0, model.length])
    expect(seen.slice(-2)).toEqual([model.length, model.length])
    expect(folder.files()).toEqual(['digests.json', `${pulled.name}.gguf`, `${pulled.name}.json`])

    expect((await pull({ spec: `${spec}@refs/pr/1` })).wasPresent).toBe(true)
    expect(hub.requests).toHaveLength(1)
  })

  it('goes on where the connection was cut', async () => {
    hub.script.push(sendPart(hub, 70_000))
    await pull({
      onProgress: ({ receivedBytes }) => {
        if (receivedBytes === 70_000) hub.cut()
      },
    })
    expect(stored().equals(model)).toBe(true)
    expect(hub.requests).toHaveLength(2)
    expect(rangeOf(1)).toBe('bytes=70000-')
    expect(hub.requests[1]?.headers['if-range']).toBe('"v1"')
  })

  it('keeps an aborted download apart from whole ones, and goes on with it later', async () => {
    await pullUntil(50_000)
    expect(folder.files()).toEqual([`${name}.gguf.partial`, `${name}.gguf.partial.json`])
    const { stored: whole, partial } = await listModels(folder.around())
    expect(whole).toEqual([])
    expect(partial).toEqual([
      { name, kind: 'gguf', receivedBytes: 50_000, totalBytes: model.length, source: spec },
    ])
    await pull()
    expect(rangeOf(1)).toBe('bytes=50000-')
    expect(stored().equals(model)).toBe(true)
  })

  it('believes only bytes that were synced before a crash', async () => {
    await pullUntil(50_000)
    const partial = join(folder.dir, `${name}.gguf.partial`)
    const record = JSON.parse(readFileSync(`${partial}.json`, 'utf8'))
    writeFileSync(`${partial}.json`, JSON.stringify({ ...record, syncedBytes: 20_000 }))
    writeFileSync(partial, Buffer.concat([model.subarray(0, 20_000), Buffer.alloc(40_000)]))
    await pull()
    expect(rangeOf(1)).toBe('bytes=20000-')
    expect(stored().equals(model)).toBe(true)
  })

  it('starts again when the partial file has lost bytes or its record is broken', async () => {
    const partial = join(folder.dir, `${name}.gguf.partial`)
    await pullUntil(50_000)
    writeFileSync(partial, model.subarray(0, 100))
    await pullUntil(60_000)
    expect(rangeOf(1)).toBeUndefined()
    writeFileSync(`${partial}.json`, '{')
    await pull()
    expect(rangeOf(2)).toBeUndefined()
    expect(stored().equals(model)).toBe(true)
  })

  it('starts again when the file on the hub has changed', async () => {
    await pullUntil(50_000)
    Object.assign(hub, { file: modelBytes(150_000, 2), etag: '"v2"' })
    hub.declaredSha256 = sha256(hub.file)
    await pull()
    expect(stored().equals(hub.file)).toBe(true)
  })

  it('does not glue two versions together when a server ignores If-Range', async () => {
    await pullUntil(50_000)
    hub.declaredSha256 = null
    const changed = modelBytes(200_000, 3)
    hub.script.push((request, response) => {
      request.headers['if-range'] = '"v3"'
      sendFile(Object.assign(hub, { file: changed, etag: '"v3"' }), request, response)
    })
    await pull()
    expect(rangeOf(1)).toBe('bytes=50000-')
    expect(rangeOf(2)).toBeUndefined()
    expect(stored().equals(changed)).toBe(true)
  })

  it('does not resume where nothing tells one version from another', async () => {
    Object.assign(hub, { etag: 'W/"weak"', declaredSha256: null })
    await pullUntil(50_000)
    await pull()
    expect(rangeOf(1)).toBeUndefined()
    expect(stored().equals(model)).toBe(true)
  })

  it('starts again when the server has no such range', async () => {
    await pullUntil(50_000)
    hub.script.push(answer(416, { 'content-range': 'bytes */10' }))
    await pull()
    expect(rangeOf(2)).toBeUndefined()
    expect(stored().equals(model)).toBe(true)
  })

  it('finishes a download that had arrived whole before it was interrupted', async () => {
    await pullUntil(50_000)
    const partial = join(folder.dir, `${name}.gguf.partial`)
    const record = JSON.parse(readFileSync(`${partial}.json`, 'utf8'))
    writeFileSync(`${partial}.json`, JSON.stringify({ ...record, syncedBytes: model.length }))
    writeFileSync(partial, model)
    await pull()
    expect(rangeOf(1)).toBe(`bytes=${model.length}-`)
    expect(stored().equals(model)).toBe(true)
  })

  it('tries again after a passing refusal, and gives up after five', async () => {
    hub.script.push(answer(503), answer(429, { 'retry-after': '1' }))
    await pull()
    expect(hub.requests).toHaveLength(3)
    hub.script.push(...Array.from({ length: 9 }, () => answer(500)))
    const error = await refusal(pull({ spec: 'hf:a/b/c.gguf' }), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('status 500')
    expect(hub.requests).toHaveLength(3 + 5)
  })

  it('gives up on a server that says nothing', async () => {
    hub.script.push(
      () => {},
      () => {},
    )
    const patience = { pullSilenceMs: 20, pullFruitlessTries: 2 }
    const error = await refusal(pull({ patience }), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('no byte for 20 ms')
    expect(folder.files()).toEqual([])
  })
})

describe('a pull from the hub refuses', () => {
  it('bytes that are not what the hub declared', async () => {
    hub.declaredSha256 = sha256(modelBytes(50))
    const error = await refusal(pull(), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('wrong digest')
    expect(folder.files()).toEqual([])
  })

  it('bytes of another host that are not what the hub declared', async () => {
    const mirror = await startFakeHub(modelBytes(200_000, 7))
    try {
      hub.script.push(answer(302, { ...headersOf(hub), location: `${mirror.url}/file` }))
      const error = await refusal(pull(), 'PREFIXD_E_MODEL_PULL')
      expect(error.message).toContain('wrong digest')
      expect(folder.files()).toEqual([])
    } finally {
      await mirror.close()
    }
  })

  it('a file that is not a model', async () => {
    hub.file = Buffer.from('<html>please log in</html>')
    hub.declaredSha256 = null
    const error = await refusal(pull(), 'PREFIXD_E_MODEL_FILE')
    expect(error.message).toContain('is not a GGUF file')
    expect(folder.files()).toEqual([])
  })

  it.each([
    [401, {}, 'There is no public', 'set HF_TOKEN'],
    [401, { HF_TOKEN: 'hf_stale' }, 'does not accept the token of HF_TOKEN', 'Replace the token'],
    [403, {}, 'refuses access', 'Accept its licence at '],
    [404, {}, 'does not have', 'Check owner'],
    [410, {}, 'status 410', 'Try again later'],
  ])('status %i at once, with a next step', async (status, env, message, next) => {
    hub.script.push(answer(status))
    const error = await refusal(pull({ env }), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain(message)
    expect(error.next).toContain(next)
    expect(hub.requests).toHaveLength(1)
  })

  it('to start what the disk has no room for', async () => {
    hub.script.push((_request, response) => {
      response.writeHead(200, { ...headersOf(hub), 'content-length': String(2 ** 52) })
      response.flushHeaders()
    })
    const error = await refusal(pull(), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toMatch(/needs 4096 TiB more, but .* has only /)
    expect(folder.files()).toEqual([])
  })

  it('a folder that cannot be made', async () => {
    const inTheWay = folder.write('file', 'x')
    const env = { PREFIXD_MODELS_DIR: join(inTheWay, 'models') }
    const error = await refusal(pull({ env }), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('ENOTDIR')
    expect(error.next).toContain('PREFIXD_MODELS_DIR')
  })

  it('endless redirects, and those that leave http', async () => {
    hub.script.push(...Array.from({ length: 20 }, () => answer(302, { location: '/again' })))
    expect((await refusal(pull(), 'PREFIXD_E_MODEL_PULL')).message).toContain('redirects')
    hub.script.splice(0, 20, answer(302, { location: 'file:///etc/passwd' }))
    expect((await refusal(pull(), 'PREFIXD_E_MODEL_PULL')).message).toContain('safely')
  })

  it('a hub that is not there, with what to do', async () => {
    const gone = await startFakeHub(model)
    await gone.close()
    const error = await refusal(pull({ env: { HF_ENDPOINT: gone.url } }), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('cannot be reached (ECONNREFUSED)')
    expect(error.next).toContain('--model the path')
  })

  it('an endpoint that is no URL, and to go out when told to stay offline', async () => {
    expect((await refusal(pull({ env: { HF_ENDPOINT: 'hub' } }), 'PREFIXD_E_CONFIG')).field).toBe(
      'HF_ENDPOINT',
    )
    const offline = await refusal(pull({ env: { HF_HUB_OFFLINE: '1' } }), 'PREFIXD_E_MODEL_PULL')
    expect(offline.message).toContain('HF_HUB_OFFLINE')
    expect(hub.requests).toEqual([])
  })

  it.each([
    'hf:',
    'hf:owner/file.gguf',
    'hf:owner/repo/file.bin',
    'hf:owner/repo/../../x.gguf',
    'hf:../repo/x.gguf',
    'hf:owner/repo//x.gguf',
    'hf:owner/repo/x.gguf@..',
    'hf:owner/repo/x-00001-of-00003.gguf',
  ])('%s', async (bad) => {
    expect((await refusal(pull({ spec: bad }), 'PREFIXD_E_INVALID_VALUE')).field).toBe('model')
    expect(hub.requests).toEqual([])
  })
})

describe('the token for the hub', () => {
  it('goes to the hub, and never to another host', async () => {
    const mirror = await startFakeHub(model)
    try {
      // What another host declares of the file proves nothing.
      mirror.declaredSha256 = sha256(modelBytes(50))
      hub.script.push(
        answer(307, { location: '/moved' }),
        answer(302, { location: `${mirror.url}/file?signed=1` }),
      )
      await pull({ env: { HF_TOKEN: ' hf_secret\n' } })
      const sent = [...hub.requests, ...mirror.requests].map(({ url, headers }) => [
        url?.split('/').at(-1),
        headers.authorization,
      ])
      expect(sent).toEqual([
        ['tiny%20model.gguf', 'Bearer hf_secret'],
        ['moved', 'Bearer hf_secret'],
        ['file?signed=1', undefined],
      ])
      expect(stored().equals(model)).toBe(true)
    } finally {
      await mirror.close()
    }
  })

  it('is read from the file that the hub’s own login wrote', async () => {
    mkdirSync(join(folder.home, '.cache', 'huggingface'), { recursive: true })
    writeFileSync(join(folder.home, '.cache', 'huggingface', 'token'), 'hf_file\n')
    await pull()
    expect(hub.requests[0]?.headers.authorization).toBe('Bearer hf_file')
  })

  it('is refused when it cannot be one', async () => {
    const error = await refusal(pull({ env: { HF_TOKEN: 'a\nb' } }), 'PREFIXD_E_MODEL_PULL')
    expect(error.field).toBe('HF_TOKEN')
    expect(error.message).not.toContain('a\nb')
  })
})
