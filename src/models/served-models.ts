/** Which models one service serves: what each `--model` names, called what, computed by whom. */
import { type Config, defaultModels, type EngineName } from '../config/schema.ts'
import { PrefixdError } from '../errors.ts'
import { engineOfKind, kindOfEngine } from './model-kind.ts'
import { type ResolvedModel, type ResolveOptions, resolveModel } from './resolve.ts'

export interface NamedModel {
  /** Name in the API; no other model of the service answers to it, or to an alias. */
  readonly id: string
  /** What it was called behind `--model`. */
  readonly aliases: readonly string[]
  readonly engine: EngineName
  /** Null: the engine computes without weights. */
  readonly weights: ResolvedModel | null
}

/** Throws what `resolveModel` throws, and PREFIXD_E_CONFIG for two models with one name. */
export async function findModels(
  { models, engine }: Pick<Config, 'models' | 'engine'>,
  options: ResolveOptions,
): Promise<NamedModel[]> {
  const found: NamedModel[] = []
  for (const spec of models) found.push(await findModel(spec, engine, options))
  refuseSharedNames(found)
  return found
}

async function findModel(
  spec: string,
  engine: Config['engine'],
  options: ResolveOptions,
): Promise<NamedModel> {
  if (engine === 'fake') return { id: fakeId(spec), aliases: [spec], engine, weights: null }
  const kind = kindOfEngine(engine)
  const weights = await resolveModel(spec, kind === null ? options : { ...options, kind })
  return { id: weights.id, aliases: [spec], engine: engineOfKind[weights.kind], weights }
}

/** The default is the name of real weights, which this engine has not. */
const fakeId = (spec: string): string => (defaultModels.includes(spec) ? 'fake' : spec)

function refuseSharedNames(models: readonly NamedModel[]): void {
  const taken = new Map<string, NamedModel>()
  for (const model of models) {
    for (const name of new Set([model.id, ...model.aliases])) {
      const other = taken.get(name)
      if (other !== undefined) throw sharedName(name, other, model)
      taken.set(name, model)
    }
  }
}

/**
 * Throws PREFIXD_E_CONFIG for the same weights under two names: they would take the memory twice,
 * and what is stored of them would belong to both.
 */
export function refuseTwins(
  models: readonly { readonly id: string; readonly weightsDigest: string }[],
): void {
  const known = new Map<string, string>()
  for (const { id, weightsDigest } of models) {
    // Without weights names are all that there is.
    if (weightsDigest === '') continue
    const other = known.get(weightsDigest)
    if (other !== undefined) {
      throw new PrefixdError(
        'PREFIXD_E_CONFIG',
        `model names ${other} and ${id}, and they are the same weights.`,
        { field: 'model', next: 'Leave one of them away.' },
      )
    }
    known.set(weightsDigest, id)
  }
}

function sharedName(name: string, one: NamedModel, other: NamedModel): PrefixdError {
  const [first, second] = [one, other].map(({ aliases }) => aliases.join())
  return new PrefixdError(
    'PREFIXD_E_CONFIG',
    first === second
      ? `model names ${first} twice.`
      : `model names ${first} and ${second}, and both would answer to "${name}".`,
    {
      field: 'model',
      next:
        first === second
          ? 'Name each model once.'
          : 'Leave one of them away, or give its file another name.',
    },
  )
}
