import { defaultModelName, resolveModel } from '../../src/models/index.ts'

/**
 * Path of the default model. test/support/global-setup.ts has pulled it before any test ran, or has
 * kept the reason why it cannot be had here, which is thrown then.
 */
export async function defaultModelPath(): Promise<string> {
  const { PREFIXD_TEST_MODEL: path, PREFIXD_TEST_MODEL_ERROR: reason } = process.env
  if (path) return path
  if (reason) throw new Error(reason)
  return (await resolveModel(defaultModelName, { pull: true })).path
}
