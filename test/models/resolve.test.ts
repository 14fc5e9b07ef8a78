import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultModelName } from '../../src/models/catalogue.ts'
import { listModels, resolveModel, weightsDigest } from '../../src/models/index.ts'
import { modelBytes, sha256, startFakeHub } from './fake-hub.ts'
import { createModelsFolder, type ModelsFolder, refusal } from './models-folder.ts'

const weights = modelBytes(3000)
const others = modelBytes(3000, 2)

let folder: ModelsFolder
beforeEach(() => {
  folder = createModelsFolder()
})
afterEach(() => folder.remove())

const resolve = (spec: string, env: Record<string, string> = {}) =>
  resolveModel(spec, { pull: false, around: folder.around(env) })

function ollamaModel(path: string, bytes: Buffer): string {
  const layers = [
    { mediaType: 'application/vnd.ollama.image.template', digest: `sha256:${'0'.repeat(64)}` },
    { mediaType: 'application/vnd.ollama.image.model', digest: `sha256:${sha256(bytes)}` },
  ]
  folder.write(`ollama/manifests/${path}`, JSON.stringify({ schemaVersion: 2, layers }))
  return folder.write(`ollama/blobs/sha256-${sha256(bytes)}`, bytes)
}

/** As the hub's own tools keep it: a link in a snapshot to a blob named by its digest. */
function hubCacheModel(repo: string, revision: string, file: string, bytes: Buffer): string {
  const root = `.cache/huggingface/hub/models--${repo.replace('/', '--')}`
  const blob = folder.write(`${root}/blobs/${sha256(bytes)}`, bytes)
  const link = join(folder.home, root, 'snapshots', revision, file)
  mkdirSync(join(link, '..'), { recursive: true })
  symlinkSync(blob, link)
  return link
}

const setMain = (repo: string, revision: string): string =>
  folder.write(
    `.cache/huggingface/hub/models--${repo.replace('/', '--')}/refs/main`,
    `${revision}\n`,
  )

describe('a model of another program', () => {
  it('is found in Ollama’s folder by its name, with or without its tag', async () => {
    const path = ollamaModel('registry.ollama.ai/library/llama3.2/1b', weights)
    const bytes = { path, sizeBytes: 3000, digest: sha256(weights) }
    const found = { kind: 'gguf', ...bytes, origin: 'ollama' }
    for (const spec of ['llama3.2:1b', 'llama3.2', 'ollama:Llama3.2:1B']) {
      expect(await resolve(spec)).toMatchObject({ id: 'llama3.2:1b', ...found })
    }
    ollamaModel('registry.ollama.ai/someone/theirs/latest', weights)
    ollamaModel('hub.example/owner/repo/q4', weights)
    expect((await resolve('someone/theirs')).id).toBe('someone/theirs:latest')
    expect((await resolve('hub.example/owner/repo:q4')).path).toBe(path)
  })

  it('is found in LM Studio’s folders by the name of its file', async () => {
    const path = folder.write('.lmstudio/models/pub/repo/Tiny-Q4.gguf', weights)
    folder.write('.lmstudio/models/pub/repo/mmproj-Tiny.gguf', weights)
    folder.write('.cache/lm-studio/models/pub/old/Older.gguf', weights)
    expect(await resolve('tiny-q4')).toMatchObject({ id: 'Tiny-Q4', path, origin: 'lmstudio' })
    expect((await resolve('pub/repo/Tiny-Q4.gguf')).path).toBe(path)
    const { discovered } = await listModels(folder.around())
    expect(discovered.map(({ fullName }) => fullName)).toEqual([
      'pub/old/Older',
      'pub/repo/Tiny-Q4',
    ])
  })

  it('is found in the hub’s cache by name or ref, and not pulled again', async () => {
    hubCacheModel('owner/repo', 'aaa', 'Q4/Tiny.gguf', others)
    const path = hubCacheModel('owner/repo', 'bbb', 'Q4/Tiny.gguf', weights)
    setMain('owner/repo', 'bbb')
    const found = { id: 'Tiny', path, digest: sha256(weights), origin: 'hub' }
    for (const spec of ['tiny', 'owner/repo/Q4/Tiny.gguf', 'hf:owner/repo/Q4/Tiny.gguf']) {
      expect(await resolve(spec)).toMatchObject(found)
    }
    expect((await resolve('hf:owner/repo/Q4/Tiny.gguf@aaa')).digest).toBe(sha256(others))
    expect((await resolve('tiny@aaa')).digest).toBe(sha256(others))
  })

  it('is looked for where the usual variables say', async () => {
    hubCacheModel('owner/repo', 'aaa', 'Tiny.gguf', weights)
    const env = { HF_HOME: join(folder.home, 'elsewhere') }
    await refusal(resolve('tiny@aaa', env), 'PREFIXD_E_MODEL_NOT_FOUND')
    env.HF_HOME = join(folder.home, '.cache', 'huggingface')
    expect((await resolve('tiny@aaa', env)).origin).toBe('hub')
  })

  it('has to be chosen when several have the name, unless they are the same bytes', async () => {
    folder.write('.lmstudio/models/pub/a/tiny.gguf', weights)
    const path = folder.write('.lmstudio/models/pub/b/tiny.gguf', others)
    const error = await refusal(resolve('tiny'), 'PREFIXD_E_MODEL_NOT_FOUND')
    expect(error.next).toBe('Say which: lmstudio:pub/a/tiny, lmstudio:pub/b/tiny.')
    expect((await resolve('lmstudio:pub/b/tiny')).path).toBe(path)

    ollamaModel('registry.ollama.ai/library/same/1', weights)
    ollamaModel('registry.ollama.ai/library/same/2', weights)
    expect((await resolve('same')).digest).toBe(sha256(weights))
    ollamaModel('registry.ollama.ai/library/same/3', others)
    await refusal(resolve('same'), 'PREFIXD_E_MODEL_NOT_FOUND')
  })

  it('is left out when its files are broken, foreign or gone', async () => {
    folder.write('.lmstudio/models/pub/repo/text.gguf', 'not a model')
    folder.write('.lmstudio/models/pub/repo/cut.gguf', weights.subarray(0, 20))
    folder.write('ollama/manifests/registry.ollama.ai/library/bad/latest', '{')
    folder.write('ollama/manifests/registry.ollama.ai/library/none/latest', '{"layers":[]}')
    rmSync(ollamaModel('registry.ollama.ai/library/gone/latest', weights))
    mkdirSync(join(folder.home, '.lmstudio/models/pub/repo/folder.gguf'))
    expect((await listModels(folder.around())).discovered).toEqual([])
  })
})

describe('a model', () => {
  it('is a path, from the working folder, the home or the root', async () => {
    const path = folder.write('my models/tiny.Q4.gguf', weights)
    for (const spec of [path, './my models/tiny.Q4.gguf', '~/my models/tiny.Q4.gguf']) {
      expect(await resolve(spec)).toMatchObject({
        id: 'tiny.Q4',
        kind: 'gguf',
        path,
        sizeBytes: 3000,
        digest: null,
        origin: 'path',
      })
    }
    expect((await resolve('my models/tiny.Q4.gguf')).path).toBe(path)
  })

  it('is a name in the store, pulled or put there by hand', async () => {
    const path = folder.write('store/mine.gguf', weights)
    for (const spec of ['mine', 'mine.gguf']) {
      expect(await resolve(spec)).toMatchObject({ id: 'mine', path, origin: 'store' })
    }
    const byRef = folder.write('store/a--b--c.gguf', weights)
    folder.write('store/a--b--c.json', '{"format":1,"source":"hf:?","sizeBytes":3000}')
    expect((await resolve('a--b--c')).path).toBe(byRef)
  })

  it('of the catalogue that was cut or replaced is refused, with its repair', async () => {
    folder.write(`store/${defaultModelName}.gguf`, weights)
    const error = await refusal(resolve('SmolLM2-135M'), 'PREFIXD_E_MODEL_FILE')
    expect(error.message).toContain('has 3000 bytes, but smollm2-135m has 98362432')
    expect(error.next).toContain(`prefixd models pull ${defaultModelName}`)
  })

  it('is pulled when that is allowed, and asked for when it is not', async () => {
    const hub = await startFakeHub(weights)
    try {
      const env = { HF_ENDPOINT: hub.url }
      const spec = 'hf:owner/repo/Tiny.gguf'
      const error = await refusal(resolve(spec, env), 'PREFIXD_E_MODEL_NOT_FOUND')
      expect(error.next).toBe(`Run \`prefixd models pull ${spec}\`.`)
      expect(hub.requests).toEqual([])
      const around = folder.around(env)
      const pulled = await resolveModel(spec, { pull: true, around })
      expect(pulled).toMatchObject({ id: 'Tiny', digest: sha256(weights), origin: 'store' })
      for (const same of [spec, 'tiny', 'owner--repo--Tiny']) {
        expect(await resolve(same, env)).toEqual(pulled)
      }
      await resolveModel('hf:owner/other/Tiny.gguf', { pull: true, around })
      const two = await refusal(resolve('tiny', env), 'PREFIXD_E_MODEL_NOT_FOUND')
      expect(two.next).toBe('Say which: owner--other--Tiny, owner--repo--Tiny.')
    } finally {
      await hub.close()
    }
  })

  it('that a conversion would make is answered with the command that makes it', async () => {
    const command = (name: string) =>
      `Make it of ${name}: \`prefixd models convert ${name} --to mlx\`.`
    const known = await refusal(resolve(`${defaultModelName}-mlx`), 'PREFIXD_E_MODEL_NOT_FOUND')
    expect(known.next).toBe(command(defaultModelName))
    mkdirSync(folder.dir, { recursive: true })
    writeFileSync(join(folder.dir, 'own.gguf'), weights)
    const own = await refusal(resolve('own-mlx'), 'PREFIXD_E_MODEL_NOT_FOUND')
    expect(own.next).toBe(command('own'))
  })

  it('that nobody knows is answered with what is close', async () => {
    const error = await refusal(resolve('smolm2'), 'PREFIXD_E_MODEL_NOT_FOUND')
    expect(error.next).toContain(`Did you mean ${defaultModelName}?`)
    expect(error.next).toContain('prefixd models ls')
    expect((await refusal(resolve('./no.gguf'), 'PREFIXD_E_MODEL_NOT_FOUND')).message).toContain(
      join(folder.home, 'no.gguf'),
    )
    await refusal(resolve(defaultModelName), 'PREFIXD_E_MODEL_NOT_FOUND')
  })

  it.each<[string, Buffer, string]>([
    ['text', Buffer.from('hello, this is no model at all'), 'is not a GGUF file'],
    ['nothing', Buffer.alloc(0), 'is not a GGUF file'],
    ['a header only', weights.subarray(0, 24), 'is cut off'],
    ['version 9', Buffer.concat([Buffer.from('GGUF\x09\0\0\0'), weights.subarray(8)]), 'version 9'],
    ['no tensors', Buffer.concat([weights.subarray(0, 8), Buffer.alloc(99)]), 'no weights'],
  ])('that is %s is refused', async (_what, bytes, message) => {
    const path = folder.write('file.gguf', bytes)
    const error = await refusal(resolve(path), 'PREFIXD_E_MODEL_FILE')
    expect(error.message).toContain(message)
  })

  it('that is a folder of something else is refused', async () => {
    const error = await refusal(resolve(`${folder.home}/`), 'PREFIXD_E_MODEL_FILE')
    expect(error.message).toContain('has no config.json')
    expect(error.next).toContain('of a GGUF model name the file itself')
  })

  it('in parts needs all of them, and the first one named', async () => {
    const first = folder.write('big-00001-of-00002.gguf', weights)
    const second = folder.write('big-00002-of-00002.gguf', others)
    const around = folder.around()
    expect(await resolve(first)).toMatchObject({ id: 'big', sizeBytes: 6000, digest: null })
    const whole = await weightsDigest(first, { around })
    folder.write('big-00002-of-00002.gguf', modelBytes(3001))
    expect(await weightsDigest(first, { around })).not.toBe(whole)
    expect((await refusal(resolve(second), 'PREFIXD_E_MODEL_FILE')).next).toContain(
      '00001-of-00002',
    )
    rmSync(second)
    await refusal(resolve(first), 'PREFIXD_E_MODEL_FILE')
    await refusal(weightsDigest(first, { around }), 'PREFIXD_E_MODEL_FILE')
  })
})

describe('the digest of weights', () => {
  const reading = (path: string) => {
    let readBytes = 0
    const digest = weightsDigest(path, {
      around: folder.around(),
      onProgress: ({ receivedBytes }) => {
        readBytes = receivedBytes
      },
    })
    return digest.then((hex) => ({ hex, readBytes }))
  }

  it('is read once, and again when the file has changed', async () => {
    const path = folder.write('tiny.gguf', weights)
    expect(await reading(path)).toEqual({ hex: sha256(weights), readBytes: 3000 })
    expect(await reading(path)).toEqual({ hex: sha256(weights), readBytes: 0 })
    expect((await resolve(path)).digest).toBe(sha256(weights))
    folder.write('tiny.gguf', others)
    expect(await reading(path)).toEqual({ hex: sha256(others), readBytes: 3000 })
    utimesSync(path, 1, 1)
    expect((await reading(path)).readBytes).toBe(3000)
  })

  it('is believed from names that are made from the content, and from no other', async () => {
    const blob = ollamaModel('registry.ollama.ai/library/a/b', weights)
    expect(await reading(blob)).toEqual({ hex: sha256(weights), readBytes: 0 })
    const link = hubCacheModel('owner/repo', 'aaa', 'x.gguf', weights)
    expect(await reading(link)).toEqual({ hex: sha256(weights), readBytes: 0 })
    const impostor = folder.write(`blobs/${sha256(others)}`, weights)
    expect(await reading(impostor)).toEqual({ hex: sha256(weights), readBytes: 3000 })
  })

  it('is read where nothing can be remembered, or what was remembered is broken', async () => {
    const path = folder.write('tiny.gguf', weights)
    folder.write('store/digests.json', '{"format":1,"digests":[{"path":')
    expect((await reading(path)).hex).toBe(sha256(weights))
    const around = folder.around({ PREFIXD_MODELS_DIR: path })
    expect(await weightsDigest(path, { around })).toBe(sha256(weights))
  })

  it('can be stopped', async () => {
    const path = folder.write('tiny.gguf', weights)
    const options = { around: folder.around(), signal: AbortSignal.abort() }
    await expect(weightsDigest(path, options)).rejects.toHaveProperty('name', 'AbortError')
  })
})
