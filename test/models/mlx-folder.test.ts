import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultModelName } from '../../src/models/catalogue.ts'
import {
  listModels,
  type ModelKind,
  placeFolder,
  removeModel,
  resolveModel,
  weightsDigest,
} from '../../src/models/index.ts'
import { modelBytes, sha256 } from './fake-hub.ts'
import { firstShard, mlxConfig, mlxFiles, secondShard } from './mlx-files.ts'
import { createModelsFolder, type ModelsFolder, refusal } from './models-folder.ts'

let folder: ModelsFolder
beforeEach(() => {
  folder = createModelsFolder()
})
afterEach(() => folder.remove())

const resolve = (spec: string, kind?: ModelKind) =>
  resolveModel(spec, { pull: false, around: folder.around(), ...(kind ? { kind } : {}) })

/** Writes a model into a folder below the home; returns its path. */
function write(path: string, files: Record<string, Buffer> = mlxFiles()): string {
  for (const [name, bytes] of Object.entries(files)) folder.write(`${path}/${name}`, bytes)
  return join(folder.home, path)
}

const sizeOf = (files: Record<string, Buffer>): number =>
  Object.values(files).reduce((sum, { length }) => sum + length, 0)

describe('an MLX model', () => {
  it('is a folder by its path', async () => {
    const path = write('models/tiny')
    for (const spec of [path, './models/tiny', '~/models/tiny/', 'models/tiny']) {
      expect(await resolve(spec)).toEqual({
        ...{ id: 'tiny', kind: 'mlx', path, sizeBytes: sizeOf(mlxFiles()) },
        ...{ digest: null, origin: 'path', bringBack: null },
      })
    }
  })

  it('is a name in the store', async () => {
    const path = write('store/mine')
    expect(await resolve('mine')).toMatchObject({ id: 'mine', kind: 'mlx', path, origin: 'store' })
    const { stored } = await listModels(folder.around())
    expect(stored).toMatchObject([{ name: 'mine', kind: 'mlx', source: 'file' }])
  })

  it('is found in the hub’s cache by name or ref', async () => {
    const root = '.cache/huggingface/hub/models--owner--Repo'
    for (const [name, bytes] of Object.entries(mlxFiles())) {
      const blob = folder.write(`${root}/blobs/${sha256(bytes)}`, bytes)
      const link = join(folder.home, root, 'snapshots', 'aaa', name)
      mkdirSync(join(link, '..'), { recursive: true })
      symlinkSync(blob, link)
    }
    folder.write(`${root}/refs/main`, 'aaa\n')
    const path = join(folder.home, root, 'snapshots', 'aaa')
    for (const spec of [
      'repo',
      'owner/repo',
      'hub:owner/repo',
      'hf:owner/Repo',
      'hf:owner/Repo@aaa',
    ]) {
      const found = await resolve(spec, 'mlx')
      expect(found).toMatchObject({ id: 'Repo', kind: 'mlx', path, origin: 'hub' })
      // Its blobs are named by their content.
      expect(found.digest).toBe(await weightsDigest(path, { around: folder.around() }))
    }
  })

  it('is found in LM Studio’s folder', async () => {
    const path = write('.lmstudio/models/community/tiny-4bit')
    expect(await resolve('tiny-4bit')).toMatchObject({ kind: 'mlx', path, origin: 'lmstudio' })
  })

  it.each<[string, string, string | null]>([
    ['config.json', 'has no config.json', null],
    ['tokenizer.json', 'has neither tokenizer.json nor tokenizer.model', null],
    [secondShard, `lacks ${secondShard}`, null],
    ['config.json', 'that is no JSON object', '{'],
    ['config.json', 'names no model_type', '{"layers":4}'],
  ])('whose %s is gone or broken is refused: it %s', async (name, message, text) => {
    const path = write('models/tiny')
    if (text === null) rmSync(join(path, name))
    else writeFileSync(join(path, name), text)
    const error = await refusal(resolve(path), 'PREFIXD_E_MODEL_FILE')
    expect(error.message).toContain(message)
    write('store/tiny', { 'config.json': Buffer.from('{}') })
    expect((await listModels(folder.around())).stored).toEqual([])
  })

  it('and a GGUF file may have one name: the engine says which is meant', async () => {
    write('store/both')
    const file = folder.write('store/both.gguf', modelBytes(3000))
    expect((await resolve('both', 'mlx')).path).toBe(join(folder.dir, 'both'))
    expect((await resolve('both', 'gguf')).path).toBe(file)
    expect((await resolve('both')).path).toBe(file)
    const error = await refusal(removeModel('both', folder.around()), 'PREFIXD_E_INVALID_VALUE')
    expect(error.message).toContain('is a file and a folder')
  })

  it('that was converted is found under the name of the file that it was made of', async () => {
    folder.write('store/tiny.gguf', modelBytes(3000))
    write('store/tiny-mlx')
    expect(await resolve('tiny', 'mlx')).toMatchObject({ id: 'tiny-mlx', kind: 'mlx' })
    expect(await resolve('tiny', 'gguf')).toMatchObject({ id: 'tiny', kind: 'gguf' })
    write(`store/${defaultModelName}-mlx`)
    expect((await resolve(defaultModelName, 'mlx')).kind).toBe('mlx')
  })

  it('is removed whole, and only from the store', async () => {
    const path = write('store/mine')
    const removed = await removeModel('mine', folder.around())
    expect(removed).toEqual({ name: 'mine', path, freedBytes: sizeOf(mlxFiles()) })
    expect(folder.files()).toEqual([])
    const elsewhere = write('models/theirs')
    symlinkSync(elsewhere, join(folder.dir, 'theirs'))
    await removeModel('theirs', folder.around())
    expect(readdirSync(elsewhere)).toContain('config.json')
    await refusal(removeModel(elsewhere, folder.around()), 'PREFIXD_E_INVALID_VALUE')
  })
})

describe('a model of the other kind is refused', () => {
  it('with the engine that serves it', async () => {
    const path = write('models/tiny')
    const folderError = await refusal(resolve(path, 'gguf'), 'PREFIXD_E_MODEL_KIND')
    expect(folderError.message).toContain('which the engine llamacpp does not serve')
    expect(folderError.next).toBe('Serve it with --engine mlx.')
    const file = folder.write('store/tiny.gguf', modelBytes(3000))
    for (const spec of [file, 'tiny', 'hf:owner/repo/tiny.gguf']) {
      const error = await refusal(resolve(spec, 'mlx'), 'PREFIXD_E_MODEL_KIND')
      expect(error.next).toContain('--engine llamacpp')
      expect(error.next).toContain(`prefixd models convert ${spec} --to mlx`)
    }
    await refusal(resolve('hf:owner/repo', 'gguf'), 'PREFIXD_E_MODEL_KIND')
  })

  it('before it is pulled for nothing', async () => {
    const around = folder.around({ HF_ENDPOINT: 'http://127.0.0.1:9' })
    const pulling = resolveModel(defaultModelName, { pull: true, kind: 'mlx', around })
    await refusal(pulling, 'PREFIXD_E_MODEL_KIND')
    expect(folder.files()).toEqual([])
  })
})

describe('the digest of a folder', () => {
  const digestOf = (path: string) => {
    let readBytes = 0
    const digest = weightsDigest(path, {
      around: folder.around(),
      onProgress: () => {
        readBytes += 1
      },
    })
    return digest.then((hex) => ({ hex, isRead: readBytes > 0 }))
  }

  it('is read once, and covers weights, config and tokenizer', async () => {
    const path = write('models/tiny')
    const first = await digestOf(path)
    expect(first.isRead).toBe(true)
    expect(await digestOf(path)).toEqual({ hex: first.hex, isRead: false })
    expect((await resolve(path)).digest).toBe(first.hex)
    const seen = new Set([first.hex])
    for (const name of ['config.json', firstShard, 'tokenizer.json', 'chat_template.jinja']) {
      const changed = name === 'config.json' ? { ...mlxConfig, rope_theta: 5 } : [1]
      writeFileSync(join(path, name), JSON.stringify(changed))
      seen.add((await digestOf(path)).hex)
    }
    expect(seen.size).toBe(5)
    folder.write('models/tiny/README.md', 'words')
    expect(seen).toContain((await digestOf(path)).hex)
  })
})

describe('a folder that is made here', () => {
  const place = (make: (path: string) => Promise<void>, more: Record<string, unknown> = {}) =>
    placeFolder(
      {
        ...{ id: 'tiny:1b', source: 'gguf:tiny:1b', out: null, around: folder.around() },
        ...{ signal: new AbortController().signal, onNotice: () => {}, ...more },
      },
      make,
    )
  const makeModel = async (path: string): Promise<void> => {
    for (const [name, bytes] of Object.entries(mlxFiles())) writeFileSync(join(path, name), bytes)
  }

  it('gets its name when it is whole', async () => {
    const path = join(folder.dir, 'tiny-1b-mlx')
    const placed = await place(async (partial) => {
      await makeModel(partial)
      expect(existsSync(path)).toBe(false)
    })
    expect(placed).toEqual({ name: 'tiny-1b-mlx', path, sizeBytes: sizeOf(mlxFiles()) })
    const bringBack = 'prefixd models convert tiny:1b --to mlx'
    expect(await resolve('tiny-1b-mlx')).toMatchObject({ kind: 'mlx', origin: 'store', bringBack })
    expect((await listModels(folder.around())).stored[0]?.source).toBe('gguf:tiny:1b')
    const error = await refusal(place(makeModel), 'PREFIXD_E_INVALID_VALUE')
    expect(error.next).toContain('prefixd models rm tiny-1b-mlx')
    expect(folder.files()).toEqual(['tiny-1b-mlx'])
  })

  it('leaves nothing when it fails, is no model, or is aborted', async () => {
    await expect(place(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await refusal(
      place(async () => {}),
      'PREFIXD_E_MODEL_FILE',
    )
    const controller = new AbortController()
    const aborted = place(
      async (partial) => {
        await makeModel(partial)
        controller.abort()
      },
      { signal: controller.signal },
    )
    await expect(aborted).rejects.toHaveProperty('name', 'AbortError')
    expect(folder.files()).toEqual([])
  })

  it('may lie elsewhere, and is then only what the model consists of', async () => {
    const { path } = await place(makeModel, { out: 'made here' })
    expect(path).toBe(join(folder.home, 'made here'))
    expect(readdirSync(path).sort()).toEqual(Object.keys(mlxFiles()).sort())
    await refusal(place(makeModel, { out: 'made here' }), 'PREFIXD_E_INVALID_VALUE')
    expect((await resolve('./made here')).kind).toBe('mlx')
  })
})
