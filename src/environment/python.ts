/** The Python that an environment is made from: found on the PATH, asked what it can. */
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import { runChild } from './child.ts'

export interface Python {
  /** Absolute. */
  readonly path: string
  /** E.g. `3.11.7`. */
  readonly version: string
}

interface Answer extends Python {
  readonly implementation: string
  readonly modules: boolean
}

export interface PythonSearch {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  readonly signal: AbortSignal
}

/** In this order: those for which every pinned package has been tried come first. */
const names = ['python3.13', 'python3.12', 'python3.11', 'python3.14', 'python3']
const minors = { min: 11, max: 14 }
/** What uv is told, which can bring a Python itself. */
export const pythonRange = `>=3.${minors.min},<3.${minors.max + 1}`

const question = `
import json, platform, sys
try:
    import ensurepip, venv
    modules = True
except ImportError:
    modules = False
print(json.dumps({
    "path": sys.executable,
    "version": platform.python_version(),
    "implementation": platform.python_implementation(),
    "modules": modules,
}))
`

/**
 * The first one that is new enough and can make environments. Throws PREFIXD_E_ENGINE_INSTALL with
 * what was found instead, and what to install.
 */
export async function findPython(search: PythonSearch): Promise<Python> {
  const unfit: string[] = []
  for (const name of names) {
    const answer = await ask(name, search)
    if (answer === null) continue
    const fault = faultOf(answer)
    if (fault === null) return { path: answer.path, version: answer.version }
    unfit.push(`${name} ${fault}`)
  }
  throw noPython(unfit, search.platform)
}

/** Null: there is none of this name; shims of version managers exist without being able to run. */
async function ask(name: string, { env, signal }: PythonSearch): Promise<Answer | null> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(limits.pythonAnswerMs)])
  try {
    const { exitCode, output } = await runChild(name, ['-I', '-c', question], {
      env,
      signal: limited,
    })
    return exitCode === 0 ? (JSON.parse(output.trim().split('\n').at(-1) ?? '') as Answer) : null
  } catch {
    signal.throwIfAborted()
    return null
  }
}

function faultOf({ version, implementation, modules }: Answer): string | null {
  if (implementation !== 'CPython') return `is ${implementation}, not CPython`
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major !== 3 || minor < minors.min) return `is ${version}, too old`
  if (minor > minors.max) return `is ${version}, for which mlx has no packages yet`
  return modules ? null : `(${version}) lacks the modules venv and ensurepip`
}

function noPython(unfit: readonly string[], platform: NodeJS.Platform): PrefixdError {
  const found = unfit.length === 0 ? 'there is none on the PATH' : `found: ${unfit.join('; ')}`
  const range = `3.${minors.min} to 3.${minors.max}`
  const how =
    platform === 'darwin'
      ? 'with Homebrew: brew install python@3.13'
      : 'on Debian and Ubuntu: sudo apt install python3 python3-venv'
  return new PrefixdError(
    'PREFIXD_E_ENGINE_INSTALL',
    `The MLX engine needs Python ${range} with the module venv; ${found}.`,
    { field: 'PATH', next: `Install Python (${how}), or uv, which brings one; then try again.` },
  )
}
