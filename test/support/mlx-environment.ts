/**
 * The MLX engine for tests: one environment for each set of versions on this machine, made once by
 * the product's own installer, in the system's folder for temporary files.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mlxRequirements } from '../../engines/on-disk.ts'
import type { Surroundings } from '../../src/config/paths.ts'
import { runChild } from '../../src/environment/child.ts'
import { installMlx } from '../../src/environment/index.ts'
import { chooseInstaller } from '../../src/environment/installer.ts'
import { readPins } from '../../src/environment/pins.ts'
import { mlxDevice, mlxRefusal, thisMachine } from '../../src/environment/platform.ts'
import { takePullLock } from '../../src/models/pull-lock.ts'

export interface MlxTestEnvironment {
  /** The environment's own Python; it also has pytest, mypy and ruff. */
  readonly python: string
  /** For the product's functions: PREFIXD_ENGINES_DIR names the environment. */
  readonly around: Surroundings
}

/** Why this machine cannot run MLX; null where it can. Tests are left out with it, and say so. */
export const mlxIsRefused: string | null = mlxRefusal(thisMachine(), false)

if (mlxIsRefused !== null) {
  process.stderr.write(`The tests of the MLX engine are left out: ${mlxIsRefused}.\n`)
}

const tools = fileURLToPath(new URL('./mlx-tools.txt', import.meta.url))

/**
 * Installs what is missing: about 80 MB and a minute, once. Other test processes wait meanwhile.
 * For `beforeAll`; throws what the installer throws.
 */
export async function mlxTestEnvironment(): Promise<MlxTestEnvironment> {
  const pins = readPins(mlxRequirements(mlxDevice(thisMachine(), false)))
  const wanted = readPins(tools)
  const names = [userInfo().username, pins.digest.slice(0, 8), wanted.digest.slice(0, 8)]
  const enginesDir = join(tmpdir(), `prefixd-test-engines-${names.join('-')}`)
  const around: Surroundings = {
    env: { ...process.env, PREFIXD_ENGINES_DIR: enginesDir },
    home: homedir(),
    platform: process.platform,
    workingDir: tmpdir(),
  }
  const { signal } = new AbortController()
  const { places } = await installMlx({
    ...{ around, signal, cuda: false },
    onProgress: () => {},
    onNotice: () => {},
  })
  const done = join(places.dir, 'has-tools')
  const lock = await takePullLock(join(enginesDir, 'tools.lock'), signal, () => {})
  try {
    if (!existsSync(done)) await installTools(places.dir, around, signal)
    writeFileSync(done, '')
  } finally {
    await lock.release()
  }
  return { python: places.python, around }
}

async function installTools(dir: string, { env, platform }: Surroundings, signal: AbortSignal) {
  const installer = await chooseInstaller({ env, platform, signal })
  const { command, args } = installer.fill(dir, tools)
  const end = await runChild(command, args, { env, signal })
  if (end.exitCode !== 0) throw new Error(`The tools of the tests cannot be had: ${end.output}`)
}
