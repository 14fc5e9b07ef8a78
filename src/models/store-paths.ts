/** What the store says of a model, and where it keeps the parts of one. */
import { join } from 'node:path'
import { modelsDir, type Surroundings } from '../config/paths.ts'
import type { ModelKind } from './model-kind.ts'

export interface StoredModel {
  readonly name: string
  readonly kind: ModelKind
  readonly path: string
  readonly sizeBytes: number
  /** sha256, where it is known without reading the weights. */
  readonly digest: string | null
  /** `hf:…`, `pip:…`, `gguf:…` for a converted one, or `file` for one put there by hand. */
  readonly source: string
  readonly pulledAtMs: number | null
}

/** A download that was cut; pulling the same model again goes on with it. */
export interface PartialModel {
  readonly name: string
  readonly kind: ModelKind
  readonly receivedBytes: number
  readonly totalBytes: number | null
  readonly source: string
}

/** Where everything of one model lies. */
export interface StorePaths {
  readonly weights: string
  readonly record: string
  readonly partial: string
  /** Of an MLX model, and while it comes or goes. */
  readonly folder: string
  readonly folderPartial: string
  readonly wheelDir: string
  readonly lock: string
  /** Locked by services that use it: see in-use.ts. */
  readonly inUse: string
}

export function storePaths(around: Surroundings, name: string): StorePaths {
  const at = (ending: string): string => join(modelsDir(around), `${name}${ending}`)
  return {
    weights: at('.gguf'),
    record: at('.json'),
    partial: at('.gguf.partial'),
    folder: at(''),
    folderPartial: at('.partial'),
    wheelDir: at('.wheel.tmp'),
    lock: at('.lock'),
    inUse: at('.in-use'),
  }
}
