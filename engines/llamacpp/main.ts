/** The llama.cpp worker: the process that the supervisor starts. */
import { runWorker } from '../worker-host.ts'
import { loadModel } from './model.ts'

runWorker(loadModel)
