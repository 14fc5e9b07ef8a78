/** The only door to what engines need on this machine: what is there, how it comes and goes. */
export { type Conversion, convertedDtypes, convertGguf } from './convert.ts'
export { examine, type Finding } from './doctor.ts'
export { type MlxEnvironment, mlxEnvironment } from './environment.ts'
export {
  type Installed,
  type InstallOptions,
  type InstallProgress,
  installMlx,
} from './install.ts'
export { type ListedEngine, listEngines } from './list.ts'
export { checkMlxRemovable, type RemovedEngine, removeMlx, useMlx } from './remove.ts'
export { type MlxComputer, mlxComputer, mlxRuntime } from './runtime.ts'
