/** How the Python worker is started, and what it is told of the library that multiplies for it. */
import type { WorkerCommand } from '../process.ts'
import type { WorkerOptions } from '../types.ts'
import { mlxPackage, mlxPythonPath } from './files.ts'

export interface OpenBlas {
  /** Path of the shared library. */
  readonly library: string
  /** Kernels that it is told to use; null: it chooses. */
  readonly coreType: string | null
  /** What it says of itself, e.g. `openblas 0.3.23.dev SkylakeX`. */
  readonly name: string
}

/** What the environment of the engine has to offer. */
export interface MlxRuntime {
  /** The environment's own Python. */
  readonly python: string
  /** Null: mlx multiplies with what its wheel brings. */
  readonly blas: OpenBlas | null
}

/** Threads and kernels of a BLAS change the last bits of its sums, so the worker says them on. */
export function mlxWorkerOptions({ blas }: MlxRuntime, worker: WorkerOptions): WorkerOptions {
  if (blas === null) return worker
  const threads = worker.threads === 1 ? '1 thread' : `${worker.threads} threads`
  return { ...worker, engine: { ...worker.engine, blas: `${blas.name}, ${threads}` } }
}

/** Runs a module of the Python side. */
const moduleCommand = (python: string, words: readonly string[]): WorkerCommand => ({
  command: python,
  // -P: nothing is imported from the folder that the service was started in.
  args: ['-P', '-m', ...words],
  env: {
    PYTHONPATH: mlxPythonPath(),
    PYTHONHOME: undefined,
    // The package may lie in a folder that this user cannot write.
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',
  },
})

/** The converter from GGUF, with its own arguments. */
export const convertCommand = (python: string, words: readonly string[]): WorkerCommand =>
  moduleCommand(python, [`${mlxPackage}.convert`, ...words])

export function mlxCommand({ python, blas }: MlxRuntime, threads: number): WorkerCommand {
  const count = String(threads)
  const { command, args, env } = moduleCommand(python, [mlxPackage])
  return {
    command,
    args,
    env: {
      ...env,
      OMP_NUM_THREADS: count,
      OPENBLAS_NUM_THREADS: count,
      MKL_NUM_THREADS: count,
      // What it needs is on this disk; whoever starts it has seen to that.
      HF_HUB_OFFLINE: '1',
      TRANSFORMERS_OFFLINE: '1',
      TOKENIZERS_PARALLELISM: 'false',
      ...keptMemory(),
      ...(blas === null ? {} : blasEnvironment(blas)),
    },
  }
}

/**
 * What loading has freed serves the first restore: for 151 MB, memory that is new to the process
 * takes 73 to 106 ms, and what it has had before 28. glibc gives arrays of more than 128 KiB back
 * at once, and gives each thread memory of its own, unless it is told otherwise. Elsewhere nobody
 * reads these names.
 */
const keptMemory = (): Record<string, string> => ({
  MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '1',
  MALLOC_MMAP_THRESHOLD_: process.env.MALLOC_MMAP_THRESHOLD_ ?? String(32 * mebibyte),
  MALLOC_TRIM_THRESHOLD_: process.env.MALLOC_TRIM_THRESHOLD_ ?? String(512 * mebibyte),
})

const mebibyte = 1024 ** 2

/** In front of the wheel's own library, which is loaded by name and cannot be replaced. */
export function blasEnvironment({
  library,
  coreType,
}: Pick<OpenBlas, 'library' | 'coreType'>): Record<string, string | undefined> {
  const others = process.env.LD_PRELOAD ?? ''
  return {
    LD_PRELOAD: others === '' ? library : `${library}:${others}`,
    ...(coreType === null ? {} : { OPENBLAS_CORETYPE: coreType }),
  }
}
