/** What tells this machine from others that are faster or slower. */
import { cpus } from 'node:os'

/**
 * Its processors in words, e.g. `linux x64, 2 × AMD EPYC`. Containers of one machine have names of
 * their own and the same processors, so its name is not in it. Accelerators are for the engine to
 * name.
 */
export function machineWords(): string {
  const processors = cpus()
  const model = processors[0]?.model.trim() || 'unknown'
  return `${process.platform} ${process.arch}, ${processors.length} × ${model}`
}
