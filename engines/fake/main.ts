/** Entry point of the fake engine's process. */
import { runWorker } from '../worker-host.ts'
import { loadFakeModel } from './model.ts'

runWorker(loadFakeModel)
