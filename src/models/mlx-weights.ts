/**
 * What the weights of an MLX model take of the memory. The headers of its files say the shapes and
 * types of all tensors (safetensors: eight bytes of length, then JSON); no weight is read.
 */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import { isWeightsFile, type MlxFolder } from './mlx-folder.ts'
import { float32Bytes } from './mlx-numbers.ts'

type ModelConfig = MlxFolder['config']

interface Tensor {
  readonly dtype: string
  readonly shape: readonly number[]
}

type Tensors = ReadonlyMap<string, Tensor>

export interface MlxWeights {
  /** As the files have them. */
  readonly storedBytes: number
  /** With every weight written out in float32, as an engine on a CPU has it. */
  readonly float32Bytes: number
  /** Of one number that is computed with, where the files decide that. */
  readonly computedBytes: number
}

/** Of the types that are computed with; others stand for packed numbers. */
const floatBytes: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 }
const otherBytes: Readonly<Record<string, number>> = { U32: 4, I32: 4, U16: 2, I16: 2, F64: 8 }

/** Throws PREFIXD_E_MODEL_FILE for a file without a header that can be read. */
export async function readMlxWeights(
  path: string,
  { files, config }: Pick<MlxFolder, 'files' | 'config'>,
): Promise<MlxWeights> {
  const tensors = new Map<string, Tensor>()
  for (const name of files.filter(isWeightsFile)) {
    for (const [tensor, of] of await readHeader(join(path, name), ofModel)) tensors.set(tensor, of)
  }
  return weightsOf(tensors, config)
}

/** Of the files of a LoRA adapter, which is a folder too. */
export async function mlxAdapterBytes(folder: string, isFloat32: boolean): Promise<number> {
  const weights = weightsOf(await readHeader(join(folder, 'adapters.safetensors'), ofAdapter), {})
  return isFloat32 ? weights.float32Bytes : weights.storedBytes
}

function weightsOf(tensors: Tensors, config: ModelConfig): MlxWeights {
  let storedBytes = 0
  let numbers = 0
  let computedBytes = 0
  for (const [name, { dtype, shape }] of tensors) {
    const count = shape.reduce((product, length) => product * length, 1)
    storedBytes += count * (floatBytes[dtype] ?? otherBytes[dtype] ?? 1)
    computedBytes = Math.max(computedBytes, floatBytes[dtype] ?? 0)
    const layer = name.slice(0, name.lastIndexOf('.'))
    const scales = tensors.get(`${layer}.scales`)
    if (scales === undefined) numbers += count
    else if (name.endsWith('.scales')) numbers += count * groupSize(config, layer)
    // Packed numbers are counted by their scales, and go along with them and the beginnings.
    else if (!/\.(weight|biases)$/.test(name)) numbers += count
  }
  return {
    storedBytes,
    float32Bytes: numbers * float32Bytes,
    computedBytes: computedBytes || float32Bytes,
  }
}

/** Numbers that share one scale; a layer may have its own. */
function groupSize({ quantization, quantization_config: older }: ModelConfig, layer: string) {
  for (const settings of [quantization, older]) {
    const own = sizeIn((settings as ModelConfig | undefined)?.[layer]) ?? sizeIn(settings)
    if (own !== null) return own
  }
  return usualGroup
}

/** Of mlx, where the file says nothing. */
const usualGroup = 64

function sizeIn(settings: unknown): number | null {
  const size = (settings as { group_size?: unknown } | null | undefined)?.group_size
  return typeof size === 'number' ? size : null
}

/** What a file is called where it cannot be read, which setting names it, and what helps. */
interface Part {
  readonly name: string
  readonly field: string
  readonly next: string
}

const ofModel: Part = {
  name: 'weights',
  field: 'model',
  next: 'Pull the model again, or choose another: `prefixd models ls`.',
}
const ofAdapter: Part = {
  name: 'weights of the adapter',
  field: '--lora',
  next: 'Name a folder with adapters.safetensors and adapter_config.json in --lora.',
}

async function readHeader(path: string, { name, field, next }: Part): Promise<Tensors> {
  const fault = (what: string, cause?: unknown): PrefixdError =>
    new PrefixdError('PREFIXD_E_MODEL_FILE', `The ${name} ${path} ${what}.`, {
      field,
      next,
      ...(cause === undefined ? {} : { cause }),
    })
  try {
    await using file = await open(path)
    const length = await read(file, 0, 8)
    const sizeBytes = length.length < 8 ? 0 : Number(length.readBigUInt64LE())
    if (sizeBytes < 2 || sizeBytes > limits.modelJsonBytes) throw fault('have no header')
    const header: unknown = JSON.parse((await read(file, 8, sizeBytes)).toString())
    if (typeof header !== 'object' || header === null) throw fault('have no header')
    const entries = Object.entries(header).filter(([name]) => name !== '__metadata__')
    if (!entries.every(([, tensor]) => isTensor(tensor))) throw fault('have a damaged header')
    return new Map(entries)
  } catch (error) {
    if (error instanceof PrefixdError) throw error
    if (error instanceof SyntaxError) throw fault('have a damaged header', error)
    throw fault(`cannot be read (${(error as NodeJS.ErrnoException).code})`, error)
  }
}

async function read(
  file: Awaited<ReturnType<typeof open>>,
  from: number,
  sizeBytes: number,
): Promise<Buffer> {
  const bytes = Buffer.alloc(sizeBytes)
  const { bytesRead } = await file.read(bytes, 0, sizeBytes, from)
  return bytes.subarray(0, bytesRead)
}

const isTensor = (value: Partial<Tensor> | null): value is Tensor =>
  typeof value?.dtype === 'string' &&
  Array.isArray(value.shape) &&
  value.shape.every((length) => Number.isInteger(length) && length >= 0)
