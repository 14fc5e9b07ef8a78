import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'
import { blasEnvironment, type MlxRuntime } from '../../engines/on-disk.ts'
import { coreTypeOf, findBlas } from '../../src/environment/blas.ts'
import { readyEnvironment } from '../../src/environment/environment.ts'
import { mlxIsRefused, mlxTestEnvironment } from '../support/mlx-environment.ts'

describe('the kernels of OpenBLAS', () => {
  const flags = (text: string) => new Set(text.split(' '))
  const avx512 = 'avx2 fma avx512f avx512cd avx512bw avx512dq avx512vl'

  it('are chosen by instruction set, since it does not know processors newer than itself', () => {
    expect(coreTypeOf('x64', flags(avx512))).toBe('SkylakeX')
    expect(coreTypeOf('x64', flags('sse2 avx avx2 fma'))).toBe('Haswell')
    expect(coreTypeOf('x64', flags('avx2 fma avx512f'))).toBe('Haswell')
  })

  it('are left to it where it knows all there are', () => {
    expect(coreTypeOf('x64', flags('sse2 avx'))).toBe(null)
    expect(coreTypeOf('arm64', flags('asimd'))).toBe(null)
  })
})

const isLinux = process.platform === 'linux'

describe.skipIf(mlxIsRefused !== null || !isLinux)('the BLAS of the MLX engine', () => {
  let runtime: MlxRuntime
  beforeAll(async () => {
    const { around } = await mlxTestEnvironment()
    const environment = readyEnvironment(around)
    const blas = await findBlas(environment, around.env)
    runtime = { python: environment.places.python, blas }
  })

  const run = (code: string): string[] => {
    if (runtime.blas === null) throw new Error('there is no OpenBLAS')
    const env = { ...process.env, ...blasEnvironment(runtime.blas) }
    const words = execFileSync(runtime.python, ['-I', '-c', code], { env, encoding: 'utf8' })
    return words.trim().split('\n')
  }

  it('has a name with its version and its kernels', () => {
    expect(runtime.blas?.name).toMatch(/^openblas \d+\.\d+\.\d+\S* \w+$/)
    const { coreType } = runtime.blas ?? {}
    if (coreType) expect(runtime.blas?.name).toMatch(new RegExp(` ${coreType}$`))
  })

  it('is what mlx multiplies with, in place of what its wheel brings', () => {
    const [called, ours, product] = run(`
import ctypes, os, sys
import mlx.core as mx
address = lambda library: ctypes.cast(library.cblas_sgemm, ctypes.c_void_p).value
print(address(ctypes.CDLL(None)))
print(address(ctypes.CDLL(${JSON.stringify(runtime.blas?.library)})))
a = mx.arange(12, dtype=mx.float32).reshape(3, 4)
print((a @ a.T).tolist())
`)
    expect(called).toBe(ours)
    expect(JSON.parse(product ?? '')).toEqual([
      [14, 38, 62],
      [38, 126, 214],
      [62, 214, 366],
    ])
  })
})
