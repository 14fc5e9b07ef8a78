import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { mlxRequirements } from '../../engines/on-disk.ts'
import type { Surroundings } from '../../src/config/paths.ts'
import { mlxEnvironment } from '../../src/environment/environment.ts'
import { type Installed, type InstallProgress, installMlx } from '../../src/environment/install.ts'
import { readPins } from '../../src/environment/pins.ts'
import { mlxDevice, thisMachine } from '../../src/environment/platform.ts'
import { findPython } from '../../src/environment/python.ts'
import { checkMlxRemovable, removeMlx, useMlx } from '../../src/environment/remove.ts'
import { mlxRuntime } from '../../src/environment/runtime.ts'
import { takePullLock } from '../../src/models/pull-lock.ts'
import { mlxIsRefused } from '../support/mlx-environment.ts'
import { type FakePackages, writeFakePackages } from './fake-packages.ts'

let home: string
let engines: string
let packages: FakePackages

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prefixd-engines-'))
  engines = join(home, 'engines')
  packages = writeFakePackages(home)
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const around = (env: Readonly<Record<string, string>> = {}): Surroundings => ({
  env: { PATH: process.env.PATH, PREFIXD_ENGINES_DIR: engines, ...packages.env, ...env },
  home,
  platform: process.platform,
  workingDir: home,
})

interface Attempt {
  readonly env?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly progress?: InstallProgress[]
  readonly notices?: string[]
}

const install = ({ env, signal, progress, notices }: Attempt = {}): Promise<Installed> =>
  installMlx({
    around: around(env),
    signal: signal ?? new AbortController().signal,
    cuda: false,
    requirements: packages.requirements,
    onProgress: (step) => void progress?.push(step),
    onNotice: (sentence) => void notices?.push(sentence),
  })

const left = (): string[] => (existsSync(engines) ? readdirSync(engines) : [])

interface SilentIndex extends AsyncDisposable {
  readonly url: string
  readonly asked: Promise<void>
  /** Whoever asked is gone. */
  readonly left: Promise<void>
}

/** An index that never answers, so that an installation can be interrupted. */
async function startSilentIndex(): Promise<SilentIndex> {
  const asked = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  const server = createServer(({ socket }) => {
    socket.once('close', () => gone.resolve())
    asked.resolve()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/simple`,
    asked: asked.promise,
    left: gone.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

/** A folder of programs, for a PATH with nothing else on it. */
function programs(scripts: Readonly<Record<string, string>>): string {
  const dir = join(home, 'bin')
  mkdirSync(dir, { recursive: true })
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(dir, name), 0o755)
  }
  return dir
}

/** Does what uv does, of what the tests see of it, in a tenth of the time that pip takes. */
async function fakeUv(): Promise<string> {
  const { signal } = new AbortController()
  const python = await findPython({ env: process.env, platform: process.platform, signal })
  return programs({
    uv: [
      `echo "$1" >> "${home}/asked"`,
      'case "$1" in',
      '  --version) echo uv 1.0;;',
      `  venv) for dir; do :; done; exec "${python.path}" -m venv --without-pip "$dir";;`,
      '  pip)',
      '    site=$("$5" -c "import site; print(site.getsitepackages()[0])")',
      `    for wheel in "${home}"/wheels/*; do "$5" -m zipfile -e "$wheel" "$site"; done;;`,
      'esac',
    ].join('\n'),
  })
}

const withoutUv = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((dir) => !existsSync(join(dir, 'uv')))
  .join(delimiter)

/** An installation by pip, which asks nobody but this index. */
const fromIndex = (url: string): Readonly<Record<string, string>> => ({
  ...{ PATH: withoutUv, PIP_NO_INDEX: '', PIP_FIND_LINKS: '', PIP_INDEX_URL: url },
})

describe.skipIf(mlxIsRefused !== null)('installing the MLX engine', () => {
  it('makes an environment that has computed something, and says what it does', async () => {
    const progress: InstallProgress[] = []
    const { places, record, wasPresent } = await install({ env: { PATH: withoutUv }, progress })
    expect(wasPresent).toBe(false)
    const device = mlxDevice(thisMachine(), false)
    expect(record).toMatchObject({ format: 1, version: '1.0', device, installer: 'pip' })
    expect(existsSync(places.python)).toBe(true)
    expect(left()).toEqual(['mlx'])
    const steps = progress.map(({ step }) => step)
    expect([steps[0], steps.at(-1)]).toEqual(['prepares', 'checks'])
    expect(progress.every(({ totalCount }) => totalCount === 4)).toBe(true)
  })

  it('takes uv where it is on the PATH', async () => {
    const { record } = await install({ env: { PATH: await fakeUv() } })
    expect(record.installer).toBe('uv')
    const asked = readFileSync(join(home, 'asked'), 'utf8').trim().split('\n')
    expect(asked).toEqual(['--version', 'venv', 'pip'])
    expect(left()).toEqual(['mlx'])
  })

  it('sees an environment with other versions, says which, and replaces it', async () => {
    const env = { PATH: await fakeUv() }
    const { places } = await install({ env })
    expect(mlxEnvironment(around())).toMatchObject({
      state: 'stale',
      why: expect.stringMatching(/^it has mlx 1\.0, and this version .* tested with \d/),
    })
    await expect(mlxRuntime(around())).rejects.toMatchObject({
      code: 'PREFIXD_E_ENGINE_MISSING',
      field: 'engine',
      next: expect.stringContaining('prefixd engines install mlx'),
    })
    writeFileSync(join(places.dir, 'old'), '')
    expect((await install({ env })).wasPresent).toBe(false)
    expect(existsSync(join(places.dir, 'old'))).toBe(false)
    expect(left()).toEqual(['mlx'])
  })

  it('does nothing where the right versions are there already', async () => {
    const { places, record } = await install({ env: { PATH: await fakeUv() } })
    const { digest } = readPins(mlxRequirements(record.device))
    writeFileSync(places.record, JSON.stringify({ ...record, pins: digest }))
    expect(mlxEnvironment(around()).state).toBe('ready')
    expect((await install({ env: { PATH: '' } })).wasPresent).toBe(true)
    rmSync(places.python)
    expect(mlxEnvironment(around())).toMatchObject({
      state: 'stale',
      why: expect.stringContaining('its Python is gone'),
    })
  })

  it('leaves nothing when it is interrupted, not even a process', async () => {
    await using index = await startSilentIndex()
    const controller = new AbortController()
    const installing = install({ env: fromIndex(index.url), signal: controller.signal })
    await index.asked
    expect(left()).toContain(`mlx.partial-${process.pid}`)
    controller.abort(new Error('Ctrl-C'))
    await expect(installing).rejects.toThrow('Ctrl-C')
    expect(left()).toEqual([])
    await index.left
  })

  it('clears away what a killed installation left', async () => {
    mkdirSync(join(engines, 'mlx.partial-7', 'environment'), { recursive: true })
    const dead = { pid: 1, host: 'elsewhere', token: 'x' }
    writeFileSync(join(engines, 'mlx.lock'), JSON.stringify(dead))
    utimesSync(join(engines, 'mlx.lock'), 0, 0)
    await install({ env: { PATH: await fakeUv() } })
    expect(left()).toEqual(['mlx'])
  })

  it('lets one installation wait for the other', async () => {
    const env = { PATH: await fakeUv() }
    const notices: string[] = []
    const both = await Promise.all([install({ env, notices }), install({ env, notices })])
    expect(both.map(({ record }) => record.version)).toEqual(['1.0', '1.0'])
    const waits = `process ${process.pid} is installing the engine already; waiting for it`
    expect(notices).toEqual([waits])
    expect(left()).toEqual(['mlx'])
  })

  it('says that no index can be reached, and how to do without', async () => {
    const env = fromIndex('http://127.0.0.1:9/simple')
    await expect(install({ env })).rejects.toMatchObject({
      code: 'PREFIXD_E_ENGINE_INSTALL',
      message: 'pip reaches no package index.',
      next: expect.stringMatching(/name a mirror .* fetch the packages on a machine like this one/),
    })
    expect(left()).toEqual([])
  })

  it('refuses an engine that does not run here, with its own words', async () => {
    packages = writeFakePackages(home, true)
    await expect(install({ env: { PATH: await fakeUv() } })).rejects.toMatchObject({
      code: 'PREFIXD_E_ENGINE_INSTALL',
      message: expect.stringContaining('libfoo.so.1: cannot open shared object file'),
    })
    expect(left()).toEqual([])
  })
})

describe('the Python of the MLX engine', () => {
  const find = (path: string) =>
    findPython({ env: { PATH: path }, platform: 'linux', signal: new AbortController().signal })

  const answer = (version: string, more: object = {}): string => {
    const words = { path: '/usr/bin/python3', version, implementation: 'CPython', modules: true }
    return `echo '${JSON.stringify({ ...words, ...more })}'`
  }

  it('is the first that is new enough and can make environments', async () => {
    const path = programs({
      'python3.13': 'echo "pyenv: python3.13: command not found"; exit 127',
      'python3.12': answer('3.12.1', { modules: false }),
      'python3.11': answer('3.11.7', { path: '/opt/python3.11' }),
      python3: answer('3.9.2'),
    })
    expect(await find(path)).toEqual({ path: '/opt/python3.11', version: '3.11.7' })
  })

  it('is asked for with all that was found, when none fits', async () => {
    const path = programs({
      'python3.12': answer('3.12.1', { modules: false }),
      'python3.11': answer('3.11.9', { implementation: 'PyPy' }),
      'python3.14': answer('3.15.0'),
      python3: answer('3.9.2'),
    })
    await expect(find(path)).rejects.toMatchObject({
      code: 'PREFIXD_E_ENGINE_INSTALL',
      field: 'PATH',
      message:
        'The MLX engine needs Python 3.11 to 3.14 with the module venv; found: ' +
        'python3.12 (3.12.1) lacks the modules venv and ensurepip; ' +
        'python3.11 is PyPy, not CPython; python3.14 is 3.15.0, for which mlx has no packages ' +
        'yet; python3 is 3.9.2, too old.',
      next: expect.stringContaining('sudo apt install python3 python3-venv'),
    })
  })

  it('is asked for where there is none at all', async () => {
    await expect(find(programs({}))).rejects.toThrow('there is none on the PATH')
  })
})

describe('deleting the MLX engine', () => {
  const { signal } = new AbortController()

  it('takes all of it, and says how much that was', async () => {
    mkdirSync(join(engines, 'mlx'), { recursive: true })
    mkdirSync(join(engines, 'mlx.partial-7'))
    writeFileSync(join(engines, 'mlx', 'weights'), Buffer.alloc(1000))
    writeFileSync(join(engines, 'mlx.partial-7', 'half'), Buffer.alloc(24))
    const removed = await removeMlx(around(), signal, { force: false })
    expect(removed).toEqual({ path: join(engines, 'mlx'), freedBytes: 1024 })
    expect(left()).toEqual([])
  })

  it('is refused while a service has it, and with force is not', async () => {
    const place = join(engines, 'mlx')
    mkdirSync(place, { recursive: true })
    const use = await useMlx(around(), '/data/of/ada')
    await expect(removeMlx(around(), signal, { force: false })).rejects.toMatchObject({
      code: 'PREFIXD_E_IN_USE',
      message: expect.stringContaining(`process ${process.pid} (--dir /data/of/ada)`),
      next: expect.stringContaining('--force'),
    })
    // Whoever asks before deleting hears the same.
    const checking = checkMlxRemovable(around(), { force: false })
    await expect(checking).rejects.toMatchObject({ code: 'PREFIXD_E_IN_USE' })
    expect(left()).toEqual(['mlx', 'mlx.in-use'])
    await removeMlx(around(), signal, { force: true })
    // The service still uses what is installed next.
    mkdirSync(place)
    const removing = removeMlx(around(), signal, { force: false })
    await expect(removing).rejects.toMatchObject({ code: 'PREFIXD_E_IN_USE' })
    use.release()
    await checkMlxRemovable(around(), { force: false })
    expect(left()).toEqual(['mlx'])
    await removeMlx(around(), signal, { force: false })
    expect(left()).toEqual([])
  })

  it('takes what is there when its turn comes', async () => {
    const old = join(engines, 'mlx.old')
    mkdirSync(old, { recursive: true })
    const installing = await takePullLock(join(engines, 'mlx.lock'), signal, () => {})
    const removing = removeMlx(around(), signal, { force: false })
    mkdirSync(join(engines, 'mlx'))
    writeFileSync(join(engines, 'mlx', 'weights'), Buffer.alloc(1000))
    await installing.release()
    expect((await removing).freedBytes).toBe(1000)
    expect(left()).toEqual([])
  })

  it('says so when there is none', async () => {
    const removing = removeMlx(around(), signal, { force: false })
    await expect(removing).rejects.toMatchObject({ code: 'PREFIXD_E_ENGINE_MISSING' })
  })
})
