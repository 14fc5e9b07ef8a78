/** Every engine of this prefixd: where it lies, and what it computes with. */
import { findLlamaCpp } from '../../engines/on-disk.ts'
import type { Surroundings } from '../config/paths.ts'
import { findBlas } from './blas.ts'
import { mlxEnvironment } from './environment.ts'
import { bytesBelow } from './folder-size.ts'
import { mlxRefusal, thisMachine } from './platform.ts'

export interface ListedEngine {
  readonly name: 'llamacpp' | 'mlx' | 'fake'
  readonly state: 'ready' | 'stale' | 'missing' | 'unavailable'
  readonly version: string | null
  /** `cpu`, `cuda` or `metal`. */
  readonly device: string | null
  /** What multiplies float32 on a CPU, e.g. `openblas 0.3.23.dev SkylakeX`. */
  readonly blas: string | null
  readonly path: string | null
  readonly sizeBytes: number | null
  /** What somebody should know or do. */
  readonly note: string | null
}

export const listEngines = (around: Surroundings): Promise<ListedEngine[]> =>
  Promise.all([llamaCpp(), mlx(around), fake])

const nothing = { version: null, device: null, blas: null, path: null, sizeBytes: null, note: null }

const fake: ListedEngine = {
  ...nothing,
  ...{ name: 'fake', state: 'ready', device: 'cpu', note: 'exact arithmetic without a model' },
}

async function llamaCpp(): Promise<ListedEngine> {
  const named = { ...nothing, name: 'llamacpp' } as const
  try {
    const { path, origin, taggedRelease } = findLlamaCpp(null)
    const device = /metal/.test(origin) ? 'metal' : 'cpu'
    const sizeBytes = await bytesBelow(path)
    return {
      ...named,
      ...{ state: 'ready', device, path, sizeBytes, note: origin },
      version: taggedRelease,
    }
  } catch (error) {
    return { ...named, state: 'missing', note: (error as Error).message }
  }
}

const installs = 'install it: prefixd engines install mlx'
/** What mlx multiplies with by itself. */
const ownBlas: Readonly<Record<string, string>> = { cpu: 'reference', cuda: 'cublas' }

async function mlx(around: Surroundings): Promise<ListedEngine> {
  const environment = mlxEnvironment(around)
  const named = { ...nothing, name: 'mlx' } as const
  if (environment.state === 'missing') {
    const refusal = mlxRefusal(thisMachine(), false)
    return refusal === null
      ? { ...named, state: 'missing', note: installs }
      : { ...named, state: 'unavailable', note: refusal }
  }
  const { record, places } = environment
  const found = {
    ...named,
    version: record?.version ?? null,
    device: record?.device ?? null,
    path: places.dir,
    sizeBytes: record?.sizeBytes ?? (await bytesBelow(places.dir)),
  }
  if (environment.state === 'stale') {
    return { ...found, state: 'stale', note: `${environment.why}; ${installs}` }
  }
  const { device, python } = environment.record
  const blas = await findBlas(environment, around.env)
  const slow = device === 'cpu' && blas === null
  return {
    ...found,
    state: 'ready',
    blas: blas?.name ?? ownBlas[device] ?? null,
    note: slow ? 'without OpenBLAS prefill is twenty times slower' : `Python ${python}`,
  }
}
