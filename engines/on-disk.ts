/** A second, light door: where the engines lie on this disk. It loads nothing that computes. */
export { findLibraryFolder as findLlamaCpp } from './llamacpp/library-folder.ts'
export { blasEnvironment, convertCommand, type MlxRuntime, type OpenBlas } from './mlx/command.ts'
export { type MlxDevice, mlxPackage, mlxPythonPath, mlxRequirements } from './mlx/files.ts'
