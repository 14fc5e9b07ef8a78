/** What a model consists of, and which engine serves it. */
import type { EngineName } from '../config/schema.ts'
import { PrefixdError } from '../errors.ts'

/** `gguf`: one file, or a few that belong together. `mlx`: a folder. */
export type ModelKind = 'gguf' | 'mlx'

/** Name of the engine that serves a kind. */
export const engineOfKind: Readonly<Record<ModelKind, EngineName>> = {
  gguf: 'llamacpp',
  mlx: 'mlx',
}

/** The kind that an engine serves; null for `auto`, and for one that computes without weights. */
export function kindOfEngine(engine: string): ModelKind | null {
  const kinds: readonly ModelKind[] = ['gguf', 'mlx']
  return kinds.find((kind) => engineOfKind[kind] === engine) ?? null
}

const words: Readonly<Record<ModelKind, string>> = {
  gguf: 'a GGUF file',
  mlx: 'a folder of an MLX model',
}

/** What one kind of model is called in the store when it was made out of the other one. */
export const convertedName = (id: string): string => `${id.replaceAll(/[/\\:]/g, '-')}-mlx`

/** For a model that the chosen engine cannot load; it names the one that can. */
export function wrongKind(spec: string, kind: ModelKind): PrefixdError {
  const engine = engineOfKind[kind]
  const other = engineOfKind[kind === 'gguf' ? 'mlx' : 'gguf']
  const convert = `, or convert it: \`prefixd models convert ${spec} --to mlx\``
  return new PrefixdError(
    'PREFIXD_E_MODEL_KIND',
    `The model ${spec} is ${words[kind]}, which the engine ${other} does not serve.`,
    { field: 'model', next: `Serve it with --engine ${engine}${kind === 'gguf' ? convert : ''}.` },
  )
}
