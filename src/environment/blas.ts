/**
 * The OpenBLAS of an environment. The CPU wheel of mlx multiplies with reference BLAS, and the bits
 * of a float32 product depend on library, kernels and threads: all are known before a start.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { blasEnvironment, type OpenBlas } from '../../engines/on-disk.ts'
import { limits } from '../config/limits.ts'
import { runChild } from './child.ts'
import type { ReadyEnvironment } from './environment.ts'

const libraryInside = 'site-packages/scipy_openblas32/lib/libopenblas_python.so'

const question = `
import ctypes
config = ctypes.CDLL(None).openblas_get_config
config.restype = ctypes.c_char_p
print(config().decode())
`

/** Null: this device needs none, or the library cannot be loaded. Costs the start of a Python. */
export async function findBlas(
  { places, record }: ReadyEnvironment,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal = AbortSignal.timeout(limits.pythonAnswerMs),
): Promise<OpenBlas | null> {
  if (record.device !== 'cpu') return null
  const [major, minor] = record.python.split('.')
  const library = join(places.dir, 'lib', `python${major}.${minor}`, libraryInside)
  if (!existsSync(library)) return null
  const coreType = coreTypeOf(process.arch, readCpuFlags())
  const preloaded = { ...env, ...blasEnvironment({ library, coreType }) }
  const { exitCode, output } = await runChild(places.python, ['-I', '-B', '-c', question], {
    env: preloaded,
    signal,
  })
  const name = exitCode === 0 ? nameOf(output) : null
  return name === null ? null : { library, coreType, name }
}

/** Of e.g. `OpenBLAS 0.3.23.dev DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64`. */
function nameOf(config: string): string | null {
  const [, version, core] = /OpenBLAS (\S+).* (\S+) MAX_THREADS/.exec(config) ?? []
  return version === undefined ? null : `openblas ${version} ${core}`
}

/**
 * This OpenBLAS takes processors that are newer than itself for old ones without AVX. Kernels by
 * instruction set instead: they are also the same on machines of one kind. Null: let it choose.
 */
export function coreTypeOf(arch: string, flags: ReadonlySet<string>): string | null {
  if (arch !== 'x64') return null
  const avx512 = ['avx512f', 'avx512cd', 'avx512bw', 'avx512dq', 'avx512vl']
  if (avx512.every((flag) => flags.has(flag))) return 'SkylakeX'
  return flags.has('avx2') && flags.has('fma') ? 'Haswell' : null
}

function readCpuFlags(): ReadonlySet<string> {
  try {
    const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? ''
    return new Set(line.trim().split(/\s+/))
  } catch {
    return new Set()
  }
}
