/** What the settings mean to each engine; one that it does not have is refused by its name. */
import { PrefixdError } from '../errors.ts'
import { type Config, type EngineName, type Property, settings } from './schema.ts'

export type EngineSettings = Readonly<Record<string, string | number | boolean>>

/** Throws PREFIXD_E_CONFIG. */
export function engineSettings(config: Config, engine: EngineName): EngineSettings {
  const { lora, models } = config
  if (lora.length > 0 && models.length > 1) {
    throw settingError(
      'lora',
      `lora is ${lora.join(',')}, made for one model, and ${models.length} are to be served.`,
      'Serve the model of the adapters alone, or leave lora away.',
    )
  }
  return engine === 'mlx' ? mlxSettings(config) : llamaSettings(config)
}

/** The fake engine has none of these, and says so itself. */
const llamaSettings = (config: Config): EngineSettings => ({
  ...(config.libraryDir === null ? {} : { libraryDir: config.libraryDir }),
  ...(config.ropeScaling === 'none' ? {} : { ropeScaling: config.ropeScaling }),
  ...(config.kvType === 'f16' ? {} : { kvType: config.kvType }),
  ...(config.flashAttention === 'on' ? {} : { flashAttention: config.flashAttention }),
  ...(config.lora.length === 0 ? {} : { lora: config.lora.join('\n') }),
})

function mlxSettings(config: Config): EngineSettings {
  refuse(config, 'libraryDir', config.libraryDir !== null, 'it loads no libraries of llama.cpp')
  const scales = config.ropeScaling !== 'none'
  refuse(config, 'ropeScaling', scales, "it follows the model's own config.json")
  refuse(config, 'flashAttention', config.flashAttention !== 'on', 'it chooses its kernels itself')
  return { ...kvBitsOf(config), ...adapterOf(config) }
}

function refuse(config: Config, property: Property, isSet: boolean, why: string): void {
  if (!isSet) return
  const { key } = settings[property]
  throw settingError(
    key,
    `${key} is ${String(config[property])}, which the engine mlx does not have: ${why}.`,
    `Leave ${key} away, or serve GGUF files only, with --engine llamacpp.`,
  )
}

const kvBits: Readonly<Record<string, number | null>> = { f16: null, q8_0: 8, q4_0: 4 }

/** `f16` is the default of another engine: here it is whatever the model computes in. */
function kvBitsOf({ kvType }: Config): { readonly kvBits?: number } {
  const [keys = '', values = keys] = kvType.split('/')
  const bits = keys === values ? kvBits[keys] : undefined
  if (bits === undefined) {
    throw settingError(
      'kv-type',
      `kv-type is ${kvType}; with the engine mlx it is f16 (as the model computes), q8_0 or ` +
        'q4_0, the same for keys and values.',
      'Choose one of these, or serve GGUF files only, with --engine llamacpp.',
    )
  }
  return bits === null ? {} : { kvBits: bits }
}

function adapterOf({ lora }: Config): { readonly adapter?: string } {
  const [adapter, ...more] = lora
  if (adapter === undefined) return {}
  if (more.length === 0 && !/:-?\d+(\.\d+)?$/.test(adapter)) return { adapter }
  throw settingError(
    'lora',
    `lora is ${lora.join(',')}; with the engine mlx it is one folder with adapters.safetensors ` +
      'and adapter_config.json, without a scale behind it.',
    'Name one folder, or serve GGUF files only, with --engine llamacpp.',
  )
}

const settingError = (field: string, message: string, next: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_CONFIG', message, { field, next })
