/** Why llama.cpp does not load a model, and what to do about it. */
import { listenToErrors } from './error-log.ts'
import type { LlamaLibrary } from './library.ts'

/**
 * Asks llama.cpp once more, for all but the bytes of the weights: it reads the header, knows the
 * architecture or does not, and looks for every tensor. Null: this time it loaded.
 */
export function explainLoadFailure(library: LlamaLibrary, modelPath: string): string | null {
  const { calls } = library
  const params = { ...calls.llama_model_default_params(), no_alloc: true }
  const { result: model, firstError } = listenToErrors(library, () =>
    calls.llama_model_load_from_file(modelPath, params),
  )
  if (model === null) return firstError ?? 'no reason given'
  calls.llama_model_free(model)
  return null
}

const unknownArchitecture = /^unknown model architecture: '(.*)'$/
/** What v0.4.0 and v0.5.0 say of tensors and keys that their architecture needs. */
const otherShape = /tensor .* not found|missing tensor|wrong shape|key not found|wrong number of/

/** Ends a sentence that has named the file. `reason` null: only the weights' bytes are left. */
export function loadFailureWords(reason: string | null, release: string): string {
  if (reason === null) {
    return (
      'its weights do not fit into memory, or the disk does not give them. ' +
      'Free memory, or use a smaller quantisation.'
    )
  }
  const architecture = unknownArchitecture.exec(reason)?.[1]
  if (architecture !== undefined) {
    return (
      `this build of llama.cpp (${release}) does not know its architecture, "${architecture}". ` +
      'Use a newer prefixd, a build that knows it in --library-dir, or another model.'
    )
  }
  const quoted = `llama.cpp ${release} says "${reason}". `
  if (otherShape.test(reason)) {
    return (
      `${quoted}The file does not have what this build expects of its architecture. ` +
      'Use a file that was made for it, a newer prefixd, or another model.'
    )
  }
  return `${quoted}Download the file again if it may be incomplete, or use another model.`
}
