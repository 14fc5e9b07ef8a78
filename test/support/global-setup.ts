import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultModelName, pullModel } from '../../src/models/index.ts'

/** Runs once before all tests; what it returns runs after them. */
export async function setup(): Promise<() => void> {
  await bringDefaultModel()
  return shareCompiledCode()
}

/**
 * The tests start services by the hundred. Each would strip the types of its files and compile them
 * anew, which is a third of what such a start takes.
 */
function shareCompiledCode(): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'prefixd-test-compiled-'))
  process.env.NODE_COMPILE_CACHE = directory
  return () => rmSync(directory, { recursive: true, force: true })
}

/**
 * Brings the default model into the usual models folder unless it is there. Tests that need no
 * model still run where it cannot be had; the others say why they fail.
 */
async function bringDefaultModel(): Promise<void> {
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
