/** How an environment is made and filled: by uv where that is on the PATH, else by venv and pip. */
import { join } from 'node:path'
import { type ChildOptions, runChild } from './child.ts'
import { findPython, pythonRange } from './python.ts'

export interface Step {
  readonly command: string
  readonly args: readonly string[]
}

export interface Installer {
  readonly name: 'uv' | 'pip'
  /** Makes an empty environment in this folder. */
  readonly create: (dir: string) => Step
  /** Installs what a file of requirements names. */
  readonly fill: (dir: string, requirements: string) => Step
  /** The package that a line of output tells of. */
  readonly read: (line: string) => PackageNews | null
}

export interface PackageNews {
  readonly step: 'loads' | 'unpacks'
  /** E.g. `mlx_cpu 0.32.4 (5.2 MB)`; null: all of them. */
  readonly label: string | null
}

const pythonOf = (dir: string): string => join(dir, 'bin', 'python')

/** Throws PREFIXD_E_ENGINE_INSTALL where neither uv nor a Python that can do it is on the PATH. */
export async function chooseInstaller(
  options: Pick<ChildOptions, 'env' | 'signal'> & { readonly platform: NodeJS.Platform },
): Promise<Installer> {
  const uv = await runChild('uv', ['--version'], options)
  if (uv.exitCode === 0) return uvInstaller
  return pipInstaller((await findPython(options)).path)
}

const uvInstaller: Installer = {
  name: 'uv',
  create: (dir) => ({
    command: 'uv',
    args: ['venv', '--no-config', '--no-project', '--python', pythonRange, dir],
  }),
  fill: (dir, requirements) => ({
    command: 'uv',
    args: [
      ...['pip', 'install', '--no-progress', '--python', pythonOf(dir)],
      // Compiled now: the worker must not write into its environment.
      ...['--only-binary', ':all:', '--compile-bytecode', '--requirement', requirements],
    ],
  }),
  read(line) {
    const loaded = /^\s*Downloading (\S+ \(\S+\))/.exec(line)?.[1]
    if (loaded !== undefined) return { step: 'loads', label: loaded }
    return /^Prepared \d+/.test(line) ? { step: 'unpacks', label: null } : null
  },
}

const pipInstaller = (python: string): Installer => ({
  name: 'pip',
  create: (dir) => ({ command: python, args: ['-I', '-m', 'venv', dir] }),
  fill: (dir, requirements) => ({
    command: pythonOf(dir),
    args: [
      ...['-I', '-m', 'pip', 'install', '--no-input', '--disable-pip-version-check'],
      // Few tries: a machine without a network should say so within seconds.
      ...['--progress-bar', 'off', '--retries', '2', '--only-binary', ':all:'],
      ...['--requirement', requirements],
    ],
  }),
  read(line) {
    const [, file, size] = /^\s*(?:Downloading|Using cached) (\S+)\.whl (\(.*\))/.exec(line) ?? []
    if (file !== undefined) {
      const [name, version] = (file.split('/').at(-1) ?? '').split('-')
      return { step: 'loads', label: `${name} ${version} ${size}` }
    }
    return /^\s*Installing collected packages/.test(line) ? { step: 'unpacks', label: null } : null
  },
})
