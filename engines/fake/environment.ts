/** Settings of the fake engine for a whole service: its own configuration knows none of them. */
import { EngineError } from '../errors.ts'
import type { WorkerOptions } from '../types.ts'

/** Name of the variable that has them, as a JSON object of `fakeDefaults`' keys. */
export const fakeVariable = 'PREFIXD_FAKE'

/** Throws PREFIXD_E_ENGINE_SETTINGS for what is no JSON object; the settings are checked later. */
export function settingsFrom(text: string | undefined): WorkerOptions['engine'] {
  if (text === undefined || text === '') return {}
  let settings: unknown
  try {
    settings = JSON.parse(text)
  } catch (cause) {
    throw wrong(cause)
  }
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) throw wrong()
  return settings as WorkerOptions['engine']
}

function wrong(cause?: unknown): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_SETTINGS',
    `${fakeVariable} must be a JSON object, like {"bytesPerToken": 4096}.`,
    { cause },
  )
}
