/** The folder of an MLX model: which files belong to it, and whether all of them are there. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'

const configName = 'config.json'
const indexName = 'model.safetensors.index.json'

/** What the engine reads. Pictures, programs and weights of other formats stay where they are. */
const belonging: readonly RegExp[] = [
  /^(config|generation_config|preprocessor_config|processor_config)\.json$/,
  /^model[\w.-]*\.safetensors(\.index\.json)?$/,
  /^(tokenizer[\w-]*|special_tokens_map|added_tokens|vocab|chat_template)\.json$/,
  /^(tokenizer|tiktoken|spiece)\.model$/,
  /^(merges|vocab)\.txt$/,
  /^[\w-]+\.(jinja|tiktoken)$/,
]

export const isMlxFile = (name: string): boolean => belonging.some((form) => form.test(name))
export const isWeightsFile = (name: string): boolean => /^model.*\.safetensors$/.test(name)

export interface MlxFolder {
  /** Names of all files that belong to the model, sorted. */
  readonly files: readonly string[]
  readonly sizeBytes: number
  readonly config: Readonly<Record<string, unknown>>
}

/** What is missing among these names, as the end of a sentence; null: it can be a model. */
export function mlxFault(names: readonly string[]): string | null {
  if (!names.includes(configName)) return 'has no config.json'
  if (!names.some(isWeightsFile)) return 'has no model*.safetensors'
  const hasTokenizer = names.includes('tokenizer.json') || names.includes('tokenizer.model')
  return hasTokenizer ? null : 'has neither tokenizer.json nor tokenizer.model'
}

/** Throws PREFIXD_E_MODEL_FILE for a folder that is no whole model. Reads none of the weights. */
export async function readMlxFolder(path: string): Promise<MlxFolder> {
  try {
    const files = (await readdir(path)).filter(isMlxFile).sort()
    const fault = mlxFault(files)
    if (fault !== null) throw folderError(path, fault)
    const config = await readObject(path, configName)
    if (typeof config.model_type !== 'string') throw folderError(path, 'names no model_type')
    await checkShards(path, files)
    const sizes = await Promise.all(files.map(async (name) => (await stat(join(path, name))).size))
    return { files, config, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) }
  } catch (error) {
    if (error instanceof PrefixdError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw folderError(path, `cannot be read (${code ?? String(error)})`, error)
  }
}

/** Name that the API gives to a model that is only known by its folder. */
export const mlxIdOf = (path: string): string => basename(path)

/** Every file that the index names has to be there. */
async function checkShards(path: string, files: readonly string[]): Promise<void> {
  if (!files.includes(indexName)) return
  const { weight_map: places } = await readObject(path, indexName)
  const named = new Set(Object.values((places ?? {}) as Readonly<Record<string, unknown>>))
  const missing = [...named].find((name) => !files.includes(String(name)))
  if (missing !== undefined) throw folderError(path, `lacks ${String(missing)}`)
}

async function readObject(path: string, name: string): Promise<Record<string, unknown>> {
  const file = join(path, name)
  if ((await stat(file)).size > limits.modelJsonBytes) {
    throw folderError(path, `has a ${name} of more than ${limits.modelJsonBytes} bytes`)
  }
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw folderError(path, `has a ${name} that is no JSON object`)
}

const folderError = (path: string, fault: string, cause?: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_MODEL_FILE', `The folder ${path} ${fault}.`, {
    field: 'model',
    next:
      'An MLX model is a folder with config.json, model*.safetensors and tokenizer.json; ' +
      'of a GGUF model name the file itself. Pull it again, or choose another: ' +
      '`prefixd models ls`.',
    ...(cause === undefined ? {} : { cause }),
  })
