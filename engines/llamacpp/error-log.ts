/** Why llama.cpp does not do something, in its own words. */
import koffi from 'koffi'
import { logCallback } from './calls.ts'
import type { LlamaLibrary } from './library.ts'

const errorLevel = 4

/**
 * Does `work` on this thread and listens to llama.cpp's log: the result, and the first error of it,
 * or null. A log callback in JavaScript is safe here and only here: work that computes nothing
 * starts no other thread of llama.cpp.
 */
export function listenToErrors<T>(
  library: LlamaLibrary,
  work: () => T,
): { readonly result: T; readonly firstError: string | null } {
  let firstError: string | null = null
  const listen = koffi.register((level: number, text: string) => {
    if (level === errorLevel) firstError ??= withoutFunctionName(text)
  }, logCallback)
  try {
    library.calls.llama_log_set(listen, null)
    return { result: work(), firstError }
  } finally {
    library.calls.llama_log_set(library.silentLog, null)
    koffi.unregister(listen)
  }
}

/** `llama_model_load: error loading model: tensor …` becomes `tensor …`. */
function withoutFunctionName(text: string): string {
  return text.trim().replace(/^(?:\w+: )+(?:error loading model: )?/, '')
}
