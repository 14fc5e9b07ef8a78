import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  listModels,
  type PullOptions,
  pullModel,
  removeModel,
  weightsDigest,
} from '../../src/models/index.ts'
import { answer, modelBytes, sha256 } from './fake-hub.ts'
import {
  type FakeRepository,
  firstShard,
  mlxFiles,
  secondShard,
  startFakeRepository,
} from './mlx-files.ts'
import { createModelsFolder, type ModelsFolder, refusal } from './models-folder.ts'

const spec = 'hf:owner/repo'
const name = 'owner--repo'
const impatient = { pullBackoffMinMs: 0, pullBackoffMaxMs: 0, pullSyncBytes: 10_000 }
const others = { 'README.md': Buffer.from('#'), 'pytorch_model.bin': modelBytes(90_000, 9) }

let folder: ModelsFolder
let hub: FakeRepository
beforeEach(async () => {
  folder = createModelsFolder()
  hub = await startFakeRepository({ ...mlxFiles(), ...others, 'picture.png': Buffer.alloc(9) })
})
afterEach(async () => {
  await hub.close()
  folder.remove()
})

const around = () => folder.around({ HF_ENDPOINT: hub.url })
const pull = (options: PullOptions & { spec?: string } = {}) =>
  pullModel(options.spec ?? spec, { around: around(), ...options, patience: impatient })

const inStore = (...parts: string[]): string => join(folder.dir, name, ...parts)
const asked = (): string[] =>
  hub.requests.map((path) => path.replace(`/owner/repo/resolve/${hub.commit}/`, ''))

/** Gets the files before the second shard, and 20,000 bytes of that one, and then is aborted. */
async function pullHalf(): Promise<void> {
  const names = Object.keys(hub.files)
  const before = names.slice(0, names.indexOf(secondShard))
  const doneBytes = before.reduce((sum, file) => sum + (hub.files[file]?.length ?? 0), 0)
  const half = hub.files[secondShard] ?? Buffer.alloc(0)
  hub.script.set(secondShard, [
    (_request, response) => {
      const headers = { etag: `"${sha256(half).slice(0, 8)}"`, 'content-length': half.length }
      response.writeHead(200, headers).write(half.subarray(0, 20_000))
    },
  ])
  const controller = new AbortController()
  const pulling = pull({
    signal: controller.signal,
    onProgress: ({ receivedBytes }) => {
      if (receivedBytes >= doneBytes + 20_000) controller.abort()
    },
  })
  await expect(pulling).rejects.toHaveProperty('name', 'AbortError')
}

describe('a pull of a repository', () => {
  it('brings what the model consists of, of one commit, and nothing else', async () => {
    const seen: (number | null)[] = []
    const pulled = await pull({
      onProgress: ({ receivedBytes, totalBytes }) => seen.push(receivedBytes, totalBytes),
    })
    const wanted = Object.keys(mlxFiles()).sort()
    expect(readdirSync(inStore()).sort()).toEqual([...wanted, 'prefixd.json'].sort())
    for (const file of wanted) {
      expect(readFileSync(inStore(file)).equals(hub.files[file] ?? Buffer.alloc(0))).toBe(true)
    }
    expect(asked()[0]).toBe('/api/models/owner/repo/revision/main')
    expect(asked().slice(1).sort()).toEqual(wanted)
    const totalBytes = wanted.reduce((sum, file) => sum + (hub.files[file]?.length ?? 0), 0)
    expect(pulled).toMatchObject({ name, kind: 'mlx', sizeBytes: totalBytes, source: spec })
    expect(seen.slice(-2)).toEqual([totalBytes, totalBytes])
    expect(seen.filter((_, index) => index % 2 === 0)).toEqual(
      seen.filter((_, index) => index % 2 === 0).toSorted((a, b) => Number(a) - Number(b)),
    )
    expect(folder.files()).toEqual(['digests.json', name])
    expect((await pull()).wasPresent).toBe(true)
    expect(hub.requests).toHaveLength(1 + wanted.length)
  })

  it('knows its digest without reading it again', async () => {
    const { path, digest } = await pull()
    expect(digest).toMatch(/^[0-9a-f]{64}$/)
    expect(await weightsDigest(path, { around: around() })).toBe(digest)
  })

  it('asks for the revision that is named, and keeps it apart', async () => {
    const pulled = await pull({ spec: `${spec}@v1/x` })
    expect(hub.requests[0]).toBe('/api/models/owner/repo/revision/v1%2Fx')
    expect(pulled.name).toBe(`${name}@v1--x`)
  })

  it('goes on file by file, and in the middle of one', async () => {
    await pullHalf()
    const { stored, partial } = await listModels(around())
    expect(stored).toEqual([])
    expect(partial).toMatchObject([{ name, kind: 'mlx', source: spec }])
    expect(partial[0]?.receivedBytes).toBeGreaterThan(80_000)
    const before = hub.requests.length
    await pull()
    const later = asked().slice(before)
    expect(later.some((request) => request.startsWith(firstShard))).toBe(false)
    expect(later.find((request) => request.startsWith(secondShard))).toMatch(/ bytes=20000-$/)
    expect(readFileSync(inStore(secondShard)).equals(hub.files[secondShard] as Buffer)).toBe(true)
    expect(folder.files()).toEqual(['digests.json', name])
  })

  it('keeps of an earlier commit only what is the same by its content', async () => {
    await pullHalf()
    hub.files = { ...hub.files, [secondShard]: modelBytes(55_000, 77) }
    hub.listed = { commit: 'beef'.padEnd(40, '0') }
    const before = hub.requests.length
    await pull()
    const later = hub.requests.slice(before).map((path) => path.split('/').at(-1))
    expect(later).toContain('config.json')
    expect(later).toContain(secondShard)
    expect(later).not.toContain(firstShard)
    expect(readFileSync(inStore(secondShard)).equals(hub.files[secondShard] as Buffer)).toBe(true)
  })

  it('tries again where the hub fails for a moment', async () => {
    hub.script.set('config.json', [answer(503), answer(503)])
    expect((await pull()).kind).toBe('mlx')
  })

  it('can be removed, whole or half', async () => {
    await pullHalf()
    const half = await removeModel(spec, around())
    expect(half).toMatchObject({ name })
    expect(half.freedBytes).toBeGreaterThan(60_000)
    expect(folder.files()).toEqual([])
    const { sizeBytes } = await pull()
    const { freedBytes } = await removeModel(name, around())
    expect(freedBytes).toBeGreaterThanOrEqual(sizeBytes)
    expect(existsSync(inStore())).toBe(false)
  })
})

describe('a pull of a repository refuses', () => {
  it('bytes that are not what the hub lists', async () => {
    hub.listed = { files: { ...mlxFiles(), [firstShard]: modelBytes(60_000, 5) } }
    const error = await refusal(pull(), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('another file than the pinned one')
    expect(existsSync(inStore())).toBe(false)
  })

  it('a small file of another size', async () => {
    hub.script.set('tokenizer.json', [(_request, response) => response.writeHead(200).end('{}')])
    const error = await refusal(pull(), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toMatch(/2 bytes, not \d+/)
  })

  it('what is no MLX model, and names the GGUF files that are there', async () => {
    hub.files = { 'README.md': Buffer.from('#'), 'Q4/tiny.gguf': modelBytes(100) }
    const error = await refusal(pull(), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('is no MLX model: it has no config.json')
    expect(error.next).toContain('hf:owner/repo/Q4/tiny.gguf')
  })

  it.each([
    ['names that lead out of the folder', { '../config.json': Buffer.from('{}') }],
    ['nothing', {}],
  ])('a list with %s', async (_what, files) => {
    hub.listed = { files }
    await refusal(pull(), 'PREFIXD_E_MODEL_PULL')
    expect(folder.files().filter((file) => file !== 'digests.json')).toEqual([])
  })

  it('a list without a commit', async () => {
    hub.listed = { commit: 'main' }
    const error = await refusal(pull(), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('makes no sense')
  })
})
