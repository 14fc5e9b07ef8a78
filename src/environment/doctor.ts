/** What prefixd needs of this machine, one by one. Starts no service and writes nothing. */
import { stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { limits } from '../config/limits.ts'
import { machineMemory } from '../config/machine-memory.ts'
import type { Surroundings } from '../config/paths.ts'
import type { Config } from '../config/schema.ts'
import { formatSize } from '../config/sizes.ts'
import type { PrefixdError } from '../errors.ts'
import { type ListedEngine, listEngines } from './list.ts'
import { mlxRefusal, thisMachine } from './platform.ts'
import { findPython } from './python.ts'

export interface Finding {
  readonly name: string
  /** `warn`: it works, but not as well as it could. */
  readonly state: 'ok' | 'warn' | 'fail'
  readonly found: string
  /** What to do. */
  readonly next: string | null
}

export interface ExamineOptions {
  readonly signal: AbortSignal
  /** Takes a piece of shared memory as a service would; rejects with the reason. */
  readonly probeSharedMemory: () => Promise<void>
}

export async function examine(
  config: Pick<Config, 'dir' | 'ramBytes' | 'ssdBytes'>,
  around: Surroundings,
  { signal, probeSharedMemory }: ExamineOptions,
): Promise<Finding[]> {
  const engines = await listEngines(around)
  return [
    node(process.versions.node),
    ...engines.filter(({ name }) => name !== 'fake').map(engine),
    ...engines.filter(({ name, state }) => name === 'mlx' && state === 'ready').map(blas),
    await python(around, signal),
    memory(config),
    await sharedMemory(probeSharedMemory),
    await disk(config),
  ]
}

const ok = (name: string, found: string): Finding => ({ name, state: 'ok', found, next: null })

function node(version: string): Finding {
  const name = 'node'
  if (Number(version.split('.')[0]) >= 24) return ok(name, version)
  const next = 'prefixd is tested with Node 24, which npm brings for it: npm install'
  return { name, state: 'warn', found: version, next }
}

function engine({ name, state, version, device, note }: ListedEngine): Finding {
  const found = [version, device].filter((part) => part !== null).join(', ')
  if (state === 'ready') return ok(name, found)
  if (state === 'missing' && name === 'llamacpp') {
    return { name, state: 'fail', found: 'missing', next: note }
  }
  // An engine that nobody wants is not a fault.
  if (state === 'missing') return ok(name, 'not installed; prefixd engines install mlx')
  if (state === 'unavailable') return ok(name, `not for this machine: ${note}`)
  return { name, state: 'warn', found: `${found}, out of date`, next: note }
}

function blas({ blas: found, device, note }: ListedEngine): Finding {
  const name = 'blas'
  if (device !== 'cpu') return ok(name, `${found ?? 'not needed'} (${device})`)
  if (found !== 'reference') return ok(name, found ?? '')
  const next = `${note}; install the engine again: prefixd engines install mlx`
  return { name, state: 'warn', found: 'reference BLAS', next }
}

async function python({ env, platform }: Surroundings, signal: AbortSignal): Promise<Finding> {
  const name = 'python'
  if (mlxRefusal(thisMachine(), false) !== null) return ok(name, 'not needed on this machine')
  try {
    const { version, path } = await findPython({ env, platform, signal })
    return ok(name, `${version} (${path})`)
  } catch (error) {
    signal.throwIfAborted()
    const { message, next } = error as PrefixdError
    return { name, state: 'warn', found: message, next }
  }
}

function memory({ ramBytes }: Pick<Config, 'ramBytes'>): Finding {
  const name = 'memory'
  const { totalBytes, availableBytes } = machineMemory()
  const free = availableBytes === null ? '' : `, ${formatSize(availableBytes)} free`
  const found = `${formatSize(totalBytes)}${free}; the RAM tier takes ${formatSize(ramBytes)}`
  const next = 'Ask for less with --ram, or end other programs.'
  const mostBytes = totalBytes * (1 - limits.reservedMemoryShare) - limits.processesBytes
  if (ramBytes > mostBytes) return { name, state: 'fail', found, next }
  const isShort = availableBytes !== null && availableBytes < ramBytes + limits.processesBytes
  return isShort ? { name, state: 'warn', found, next } : ok(name, found)
}

async function sharedMemory(probe: () => Promise<void>): Promise<Finding> {
  const name = 'shared memory'
  try {
    await probe()
    return ok(name, 'service and worker can share it')
  } catch (error) {
    const next = 'Raise the memory limit of the container; the RAM tier is shared memory.'
    return { name, state: 'fail', found: (error as Error).message, next }
  }
}

async function disk({ dir, ssdBytes }: Pick<Config, 'dir' | 'ssdBytes'>): Promise<Finding> {
  const name = 'disk'
  if (ssdBytes === 0) return ok(name, 'no SSD tier is asked for')
  const freeBytes = await freeBytesAt(dir)
  if (freeBytes === null) {
    const next = 'Name a folder that you can write with --dir.'
    return { name, state: 'fail', found: `${dir} cannot be looked at`, next }
  }
  const asked = `the SSD tier takes ${formatSize(ssdBytes)}`
  const found = `${formatSize(freeBytes)} free in ${dir}; ${asked}`
  const { freeDiskFloorBytes: floorBytes } = limits
  // What earlier services have stored counts as taken.
  const wantedBytes = Math.max(0, ssdBytes - (await slabBytesIn(dir)))
  if (freeBytes >= wantedBytes + floorBytes) return ok(name, found)
  const next =
    freeBytes < floorBytes
      ? `It grows only while ${formatSize(floorBytes)} are free: free some of the disk. Running ` +
        'services notice it by themselves.'
      : 'It will not get all of that: ask for less with --ssd, or free some of the disk.'
  return { name, state: 'warn', found, next }
}

/** How long the slab is; 0 where there is none. */
async function slabBytesIn(dir: string): Promise<number> {
  try {
    return (await stat(join(dir, 'spill.slab'))).size
  } catch {
    return 0
  }
}

/** Of the nearest folder above that exists. */
async function freeBytesAt(dir: string): Promise<number | null> {
  for (let folder = dir; ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder)
      return bavail * bsize
    } catch (error) {
      const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT'
      if (!isAbsent || folder === dirname(folder)) return null
    }
  }
}
