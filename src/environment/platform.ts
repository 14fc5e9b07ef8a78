/** For which machines there are packages of mlx, and for which device. */
import type { MlxDevice } from '../../engines/on-disk.ts'
import { PrefixdError } from '../errors.ts'

export interface Machine {
  readonly platform: NodeJS.Platform
  readonly arch: string
  /** Version of the GNU C library, null where there is another one. */
  readonly glibc: string | null
}

export function thisMachine(): Machine {
  const { platform, arch } = process
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return { platform, arch, glibc: report.header?.glibcVersionRuntime ?? null }
}

/** Of the wheels of the pinned mlx-cpu and mlx-cuda-13. */
const glibcMin = '2.35'

/** Null: there are no packages for this machine; `why` has the reason. */
export function mlxRefusal({ platform, arch, glibc }: Machine, cuda: boolean): string | null {
  if (platform === 'darwin') {
    if (cuda) return 'CUDA exists on Linux only; on Apple silicon mlx computes with Metal'
    return arch === 'arm64' ? null : 'mlx has packages for Apple silicon only, not for Intel Macs'
  }
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) {
    return `mlx has no packages for ${platform}-${arch}`
  }
  if (glibc === null) return 'mlx has packages for Linux with the GNU C library only'
  return isOlder(glibc, glibcMin)
    ? `mlx needs glibc ${glibcMin} or newer (Debian 12, Ubuntu 22.04), and this system has ${glibc}`
    : null
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldMajor = 0, oldMinor = 0] = than.split('.').map(Number)
  return major < oldMajor || (major === oldMajor && minor < oldMinor)
}

/** Throws PREFIXD_E_ENGINE_INSTALL where there are no packages. */
export function mlxDevice(machine: Machine, cuda: boolean): MlxDevice {
  const refusal = mlxRefusal(machine, cuda)
  if (refusal !== null) {
    throw new PrefixdError('PREFIXD_E_ENGINE_INSTALL', `${refusal}.`, {
      field: cuda ? '--cuda' : 'engine',
      next: 'Serve GGUF files with --engine llamacpp, which runs here.',
    })
  }
  return machine.platform === 'darwin' ? 'metal' : cuda ? 'cuda' : 'cpu'
}
