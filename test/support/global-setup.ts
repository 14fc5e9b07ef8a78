import { defaultModelName, pullModel } from '../../src/models/index.ts'

/**
 * Runs once before all tests: brings the default model into the usual models folder unless it is
 * there. Tests that need no model still run where it cannot be had; the others say why they fail.
 */
export async function setup(): Promise<void> {
  if (process.env.PREFIXD_TEST_MODEL) return
  let announced = false
  const announce = (): void => {
    if (!announced) process.stderr.write(`Pulling ${defaultModelName} for the tests, once …\n`)
    announced = true
  }
  try {
    const { path } = await pullModel(defaultModelName, {
      onProgress: announce,
      onNotice: (sentence) => process.stderr.write(`${sentence}\n`),
    })
    process.env.PREFIXD_TEST_MODEL = path
  } catch (error) {
    const { message, next } = error as { message: string; next?: string }
    process.env.PREFIXD_TEST_MODEL_ERROR = `${message} ${next ?? ''}`
    process.stderr.write(`The tests run without ${defaultModelName}: ${message} ${next ?? ''}\n`)
  }
}
