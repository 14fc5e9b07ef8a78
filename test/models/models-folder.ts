import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import type { Surroundings } from '../../src/config/paths.ts'
import { type ErrorCode, PrefixdError } from '../../src/errors.ts'

export interface ModelsFolder {
  readonly home: string
  /** The store, not made yet. */
  readonly dir: string
  around(env?: Record<string, string>): Surroundings
  /** Names in the store. */
  files(): string[]
  write(path: string, bytes: string | Uint8Array): string
  remove(): void
}

/** A home folder with nothing in it. */
export function createModelsFolder(): ModelsFolder {
  const home = mkdtempSync(join(tmpdir(), 'prefixd-models-'))
  const dir = join(home, 'store')
  return {
    home,
    dir,
    around: (env = {}) => ({
      env: {
        PATH: process.env.PATH,
        PREFIXD_MODELS_DIR: dir,
        OLLAMA_MODELS: join(home, 'ollama'),
        ...env,
      },
      home,
      platform: 'linux',
      workingDir: home,
    }),
    files() {
      try {
        return readdirSync(dir).sort()
      } catch {
        return []
      }
    },
    write(path, bytes) {
      const whole = join(home, path)
      mkdirSync(dirname(whole), { recursive: true })
      writeFileSync(whole, bytes)
      return whole
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  }
}

/** The typed error that a promise rejects with; it has a next step. */
export async function refusal(promise: Promise<unknown>, code: ErrorCode): Promise<PrefixdError> {
  const error = await promise.then(
    () => new Error('it was accepted'),
    (reason: unknown) => reason as Error,
  )
  if (!(error instanceof PrefixdError)) throw error
  expect(error.code).toBe(code)
  expect(error.next).toBeTruthy()
  return error
}
