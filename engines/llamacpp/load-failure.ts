/** Why llama.cpp does not load a model file, in its own words. */
import koffi from 'koffi'
import { logCallback } from './calls.ts'
import type { LlamaLibrary } from './library.ts'

const errorLevel = 4
const linesMax = 3

/**
 * Asks llama.cpp once more, for the vocabulary only and on this thread, and listens to its log. A
 * log callback in JavaScript is safe here and only here: no other thread of llama.cpp runs.
 * Null: this time it loaded, so the weights as such are the problem.
 */
export function explainLoadFailure(library: LlamaLibrary, modelPath: string): string | null {
  const { calls } = library
  const lines: string[] = []
  const listen = koffi.register((level: number, text: string) => {
    if (level === errorLevel && lines.length < linesMax) lines.push(withoutFunctionName(text))
  }, logCallback)
  try {
    calls.llama_log_set(listen, null)
    const params = { ...calls.llama_model_default_params(), vocab_only: true }
    const model = calls.llama_model_load_from_file(modelPath, params)
    if (model === null) return lines[0] ?? 'no reason given'
    calls.llama_model_free(model)
    return null
  } finally {
    calls.llama_log_set(library.silentLog, null)
    koffi.unregister(listen)
  }
}

/** `llama_model_load: error loading model: tensor …` becomes `tensor …`. */
function withoutFunctionName(text: string): string {
  return text.trim().replace(/^(?:\w+: )+(?:error loading model: )?/, '')
}
