/** What the served model can do at all; asked before any work, and so a plain answer. */
import type { ModelInfo } from '../../engines/types.ts'
import { PrefixdError } from '../errors.ts'

/** Throws `PREFIXD_E_NOT_SUPPORTED` for a model that was made for vectors. */
export function requireText({ generates }: ModelInfo): void {
  if (generates) return
  throw new PrefixdError(
    'PREFIXD_E_NOT_SUPPORTED',
    'The model that is served makes vectors of texts; it writes none.',
    { field: 'model', next: 'Use POST /v1/embeddings, or serve a model that writes text.' },
  )
}

/** Throws `PREFIXD_E_NOT_SUPPORTED` for a model whose file does not say how vectors are made. */
export function requireVectors({ embedding, fingerprint }: ModelInfo): void {
  if (embedding !== null) return
  throw new PrefixdError(
    'PREFIXD_E_NOT_SUPPORTED',
    `The model that is served (architecture ${fingerprint.architecture}) writes text; its file ` +
      'has no pooling, so it makes no vectors.',
    {
      field: 'model',
      next: 'Serve an embedding model, e.g. a GGUF file of bge or Qwen3-Embedding.',
    },
  )
}
