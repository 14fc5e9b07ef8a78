/**
 * Makes the environment of the MLX engine under another name, and renames it when it is whole and
 * has computed something. Whatever ends this before, nothing is left.
 */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type MlxDevice, mlxRequirements } from '../../engines/on-disk.ts'
import { limits } from '../config/limits.ts'
import { enginesDir, type Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { type LockHolder, takePullLock } from '../models/pull-lock.ts'
import { type ChildEnd, runChild } from './child.ts'
import {
  type EnvironmentRecord,
  type MlxPlaces,
  mlxEnvironment,
  mlxPlaces,
  partialsLeft,
  type ReadyEnvironment,
} from './environment.ts'
import { bytesBelow } from './folder-size.ts'
import { installError, installFailure } from './install-failure.ts'
import { chooseInstaller, type Installer, type PackageNews, type Step } from './installer.ts'
import { type Pins, readPins } from './pins.ts'
import { mlxDevice, thisMachine } from './platform.ts'

export interface InstallProgress {
  readonly step: 'prepares' | PackageNews['step'] | 'checks'
  readonly label: string | null
  readonly doneCount: number
  readonly totalCount: number
}

export interface InstallOptions {
  readonly around: Surroundings
  readonly signal: AbortSignal
  readonly cuda: boolean
  readonly onProgress: (progress: InstallProgress) => void
  readonly onNotice: (sentence: string) => void
  /** Tests install something smaller. */
  readonly requirements?: string
}

export interface Installed extends ReadyEnvironment {
  /** Nothing was to be done. */
  readonly wasPresent: boolean
}

/**
 * Installs the pinned packages, unless they are there for this device. Throws
 * PREFIXD_E_ENGINE_INSTALL, or the signal's reason.
 */
export async function installMlx(options: InstallOptions): Promise<Installed> {
  const { around, signal, cuda, onNotice } = options
  const device = mlxDevice(thisMachine(), cuda)
  const limited = AbortSignal.any([signal, AbortSignal.timeout(limits.installMs)])
  const places = mlxPlaces(around)
  try {
    await mkdir(enginesDir(around), { recursive: true })
    const lock = await takePullLock(places.lock, limited, (holder) => onNotice(waits(holder)))
    try {
      const present = mlxEnvironment(around)
      const isSame = present.state === 'ready' && present.record.device === device
      if (isSame) return { ...present, wasPresent: true }
      const record = await build(places, device, { ...options, signal: limited })
      return { places, state: 'ready', record, wasPresent: false }
    } finally {
      for (const path of await partialsLeft(around)) await removeFolder(path)
      await lock.release()
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof PrefixdError) throw error
    if (limited.aborted) {
      throw installError(
        `The installation took longer than ${limits.installMs / 60_000} minutes and was stopped.`,
        'Check the network, and try again: what pip or uv has loaded is in their cache.',
        error,
      )
    }
    throw diskError(error, enginesDir(around))
  }
}

const waits = ({ pid }: LockHolder): string =>
  `process ${pid} is installing the engine already; waiting for it`

async function build(
  places: MlxPlaces,
  device: MlxDevice,
  options: InstallOptions,
): Promise<EnvironmentRecord> {
  const { around, signal, onProgress } = options
  const pins = readPins(options.requirements ?? mlxRequirements(device))
  const totalCount = pins.versions.size
  const dir = join(places.partial, 'environment')
  const tempDir = join(places.partial, 'tmp')
  for (const path of await partialsLeft(around)) await removeFolder(path)
  await mkdir(tempDir, { recursive: true })
  const env = installerEnv(around, tempDir)
  const installer = await chooseInstaller({ env, signal, platform: around.platform })
  const tell = (step: InstallProgress['step'], label: string | null, doneCount: number): void =>
    onProgress({ step, label, doneCount, totalCount })

  tell('prepares', null, 0)
  const run = (step: Step, onLine?: (line: string) => void): Promise<ChildEnd> =>
    runChild(step.command, step.args, { env, signal, ...(onLine === undefined ? {} : { onLine }) })
  await succeed(run(installer.create(dir)), installer, pins)
  let loadedCount = 0
  const follow = (line: string): void => {
    const news = installer.read(line)
    if (news === null) return
    if (news.step === 'loads') loadedCount = Math.min(totalCount, loadedCount + 1)
    tell(news.step, news.label, news.step === 'loads' ? loadedCount : totalCount)
  }
  await succeed(run(installer.fill(dir, pins.file), follow), installer, pins)
  tell('checks', null, totalCount)
  const python = await checkEnvironment(dir, env, signal)
  const record: EnvironmentRecord = {
    format: 1,
    device,
    pins: pins.digest,
    version: pins.versions.get('mlx') ?? '',
    python,
    installer: installer.name,
    installedAtMs: Date.now(),
    sizeBytes: await bytesBelow(dir),
  }
  await writeFile(join(dir, 'prefixd.json'), `${JSON.stringify(record, null, 2)}\n`)
  await putInPlace(dir, places)
  return record
}

/** As it is (mirrors, proxies, certificates), less what would lead pip out of the environment. */
function installerEnv({ env }: Surroundings, tempDir: string) {
  const foreign = ['PIP_TARGET', 'PIP_PREFIX', 'PIP_USER', 'PIP_ROOT', 'VIRTUAL_ENV', 'PYTHONHOME']
  const kept = Object.entries(env).filter(([name]) => !foreign.includes(name))
  // TMPDIR: what pip leaves when it is killed goes with the folder.
  return { ...Object.fromEntries(kept), TMPDIR: tempDir }
}

async function succeed(ending: Promise<ChildEnd>, installer: Installer, pins: Pins): Promise<void> {
  const end = await ending
  if (end.exitCode !== 0) throw installFailure(end, installer.name, pins)
}

const check = `
import platform
import mlx.core as mx
import llguidance, mlx_lm, msgpack
product = mx.ones((8, 8)) @ mx.ones((8, 8))
mx.eval(product)
assert product.sum().item() == 512
print(platform.python_version())
`

/** Whatever is wrong with the libraries of this system shows here, and not in the first request. */
async function checkEnvironment(
  dir: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<string> {
  const python = join(dir, 'bin', 'python')
  const end = await runChild(python, ['-I', '-B', '-c', check], { env, signal })
  const lines = end.output.trim().split('\n')
  if (end.exitCode === 0) return lines.at(-1) ?? ''
  throw installError(
    `mlx was installed, but it does not run here: ${(lines.at(-1) ?? '').slice(0, 300)}.`,
    'Look up what it says; `prefixd doctor` shows what this machine has.',
  )
}

const removeFolder = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true, maxRetries: 3 })

async function putInPlace(whole: string, { dir, old }: MlxPlaces): Promise<void> {
  await removeFolder(old)
  if (existsSync(dir)) await rename(dir, old)
  await rename(whole, dir)
  await removeFolder(old)
}

function diskError(error: unknown, path: string): PrefixdError {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? installError(`The disk is full (${code}) below ${path}.`, diskFullAdvice(path), error)
    : installError(
        `${dirname(path)} cannot be written (${code ?? error}).`,
        'Set PREFIXD_ENGINES_DIR to a folder that you can write.',
        error,
      )
}

const diskFullAdvice = (path: string): string =>
  `Free 1.5 GB there, or set PREFIXD_ENGINES_DIR to a folder on a larger disk than that of ${path}.`
