/**
 * What runs inside every worker process: frames on file descriptor 3 drive one `EngineModel`.
 */
import type { EngineModel, WorkerOptions } from './types.ts'

/** Loads the model; `progress` takes fractions from 0 to 1. Throws an EngineError that is final. */
export type LoadModel = (
  options: WorkerOptions,
  progress: (fraction: number) => void,
) => Promise<EngineModel>

/** Serves one model on fd 3 until the service closes it; never returns to the caller's control. */
export function runWorker(loadModel: LoadModel): void {
  void loadModel
}
