/** `prefixd models convert`: a model of one engine becomes one of another. Asks no service. */
import { formatSize } from '../../config/sizes.ts'
import { kindOf, PrefixdError } from '../../errors.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { ensureEngine } from '../engine-install.ts'
import { Interrupted } from '../failure.ts'
import { checkModels, withProgress } from '../model-pull.ts'
import { printable } from '../render/text.ts'

export interface ModelsConvertFlags {
  readonly to: 'mlx'
  readonly dtype?: 'stored' | 'float32' | 'float16'
  readonly out?: string
  readonly yes?: boolean
  readonly json?: boolean
}

export async function modelsConvert(
  this: CliContext,
  flags: ModelsConvertFlags,
  spec: string,
): Promise<void> {
  const { dtype = 'stored', out = null } = flags
  const signal = this.interrupted()
  const refuse = (error: unknown): never => {
    throw alreadyMlx(error, spec)
  }
  const before = () => checkModels(this, [spec], 'gguf').catch(refuse)
  await ensureEngine(this, { yes: flags.yes === true, signal, before })
  const { placeFolder, resolveModel } = await this.loadModels()
  const { convertGguf } = await this.loadEnvironment()
  const { id, path } = await withProgress(this, `pulling ${spec}`, signal, (options) =>
    resolveModel(spec, { ...options, pull: true, kind: 'gguf' }),
  ).catch(refuse)
  const source = `gguf:${id}${dtype === 'stored' ? '' : ` as ${dtype}`}`
  const placed = await withProgress(this, `converting ${id}`, signal, (options) =>
    placeFolder({ ...options, id, source, out }, (folder) =>
      convertGguf({ ...options, gguf: path, folder, dtype }),
    ),
  ).catch((error: unknown) => {
    if (error instanceof Interrupted) {
      writeLines(this.err, ['stopped, and nothing is left of it; run this again to convert it'])
    }
    throw error
  })
  if (flags.json) {
    const { name, sizeBytes } = placed
    return writeJson(this.out, { name, path: placed.path, size_bytes: sizeBytes, source })
  }
  const name = printable(placed.name)
  writeLines(this.out, [
    `${name} converted: ${formatSize(placed.sizeBytes)} at ${printable(placed.path)}`,
    `${style(this.out, 'bold', 'try')}    prefixd serve --engine mlx --model ${name}`,
  ])
}

/** Whoever converts asks for no engine, and wants to hear of none. */
function alreadyMlx(error: unknown, spec: string): unknown {
  if (kindOf(error).prefixdCode !== 'PREFIXD_E_MODEL_KIND') return error
  return new PrefixdError('PREFIXD_E_MODEL_KIND', `The model ${spec} is an MLX model already.`, {
    field: 'model',
    next: `Serve it: \`prefixd serve --engine mlx --model ${spec}\`.`,
    cause: error,
  })
}
