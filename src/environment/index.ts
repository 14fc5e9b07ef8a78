/** The only door to the environment of the MLX engine: what is there, how it comes and goes. */
export {
  type EnvironmentRecord,
  type MlxEnvironment,
  mlxEnvironment,
  type ReadyEnvironment,
  readyEnvironment,
} from './environment.ts'
export {
  type Installed,
  type InstallOptions,
  type InstallProgress,
  installMlx,
} from './install.ts'
export { mlxRuntime } from './runtime.ts'
