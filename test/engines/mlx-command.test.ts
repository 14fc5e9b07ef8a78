import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mlxCommand, mlxWorkerOptions } from '../../engines/mlx/command.ts'
import { mlxPythonPath, mlxRequirements } from '../../engines/mlx/files.ts'
import { readPins } from '../../src/environment/pins.ts'
import { filesUnder, repositoryRoot } from '../support/source-files.ts'

const blas = {
  library: '/env/libopenblas.so',
  coreType: 'Haswell',
  name: 'openblas 0.3.23 Haswell',
}

describe('the command of the MLX worker', () => {
  it('imports the package of this prefixd, and nothing of the folder it was started in', () => {
    const { command, args, env } = mlxCommand({ python: '/env/bin/python', blas: null }, 3)
    expect([command, ...args]).toEqual(['/env/bin/python', '-P', '-m', 'prefixd_mlx'])
    expect(env.PYTHONPATH).toBe(mlxPythonPath())
    expect(env).toMatchObject({ HF_HUB_OFFLINE: '1', OPENBLAS_NUM_THREADS: '3' })
    expect(env).not.toHaveProperty('LD_PRELOAD')
  })

  it('puts OpenBLAS in front, with the kernels of this processor', () => {
    const { env } = mlxCommand({ python: 'python', blas }, 1)
    expect(env.LD_PRELOAD?.split(':')[0]).toBe('/env/libopenblas.so')
    expect(env.OPENBLAS_CORETYPE).toBe('Haswell')
  })
})

describe('the options of the MLX worker', () => {
  const worker = {
    ...{ modelPath: '/m', contextTokens: 0, sequences: 1, threads: 2, blockTokens: 256 },
    reuse: 'token',
    engine: { kvBits: 8 },
  } as const

  it('name the BLAS with its threads, which change the last bits of its sums', () => {
    const { engine } = mlxWorkerOptions({ python: 'python', blas }, worker)
    expect(engine).toEqual({ kvBits: 8, blas: 'openblas 0.3.23 Haswell, 2 threads' })
  })

  it('are as they were where mlx multiplies by itself', () => {
    expect(mlxWorkerOptions({ python: 'python', blas: null }, worker)).toBe(worker)
  })
})

describe('the versions that the MLX engine is installed with', () => {
  const devices = ['cpu', 'cuda', 'metal'] as const
  const wheels = { cpu: 'mlx-cpu', cuda: 'mlx-cuda-13', metal: 'mlx-metal' }

  it.each(devices)('are exact for %s, its own wheel of the same version as mlx', (device) => {
    const file = mlxRequirements(device)
    const { versions } = readPins(file)
    expect(versions.get(wheels[device])).toBe(versions.get('mlx'))
    expect(versions.size).toBeGreaterThan(35)
  })

  it('are the same for all devices, but for what these need', () => {
    const [first, ...others] = devices.map((device) => readPins(mlxRequirements(device)).versions)
    const shared = [...(first ?? [])].filter(([name]) => !/^(mlx-cpu|scipy-openblas32)$/.test(name))
    for (const versions of others) expect([...versions]).toEqual(expect.arrayContaining(shared))
  })

  it('have a name that changes with any of them', () => {
    const digests = devices.map((device) => readPins(mlxRequirements(device)).digest)
    expect(new Set(digests).size).toBe(devices.length)
  })

  it('are packed, with all Python that they are for', () => {
    const { files } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
      files: string[]
    }
    const needed = filesUnder('engines/mlx').filter((path) => /\.(py|txt)$/.test(path))
    const isPacked = (path: string) => files.some((file) => `${path}/`.startsWith(`${file}/`))
    expect(needed.filter((path) => !isPacked(path))).toEqual([])
  })

  it('lie beside the sources, wherever these run from', () => {
    expect(existsSync(join(mlxPythonPath(), '..', 'requirements.txt'))).toBe(true)
  })
})
