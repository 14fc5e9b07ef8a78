/** Entry point of the fake engine's process. What the service asks for goes before PREFIXD_FAKE. */
import { runWorker } from '../worker-host.ts'
import { fakeVariable, settingsFrom } from './environment.ts'
import { loadFakeModel } from './model.ts'

runWorker(async (worker, progress) => {
  const settings = settingsFrom(process.env[fakeVariable])
  return loadFakeModel({ ...worker, engine: { ...settings, ...worker.engine } }, progress)
})
