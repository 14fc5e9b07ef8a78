/** Writes GGUF files: metadata and F32 tensors, as much as tiny models for tests need. */
import { writeFileSync } from 'node:fs'

export type GgufValue =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly f32s: readonly number[] }

export interface GgufTensor {
  readonly name: string
  /** As llama.cpp counts them: the length of a row comes first. */
  readonly shape: readonly number[]
  readonly data: Float32Array
}

const types = { u32: 4, i32: 5, f32: 6, bool: 7, text: 8, array: 9 } as const
const version = 3
const alignment = 32
const f32Tensor = 0

const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer)
const i32 = (value: number): Buffer => Buffer.from(Int32Array.of(value).buffer)
const f32 = (value: number): Buffer => Buffer.from(Float32Array.of(value).buffer)
const u64 = (value: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer)
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([u64(bytes.length), bytes])
}

function arrayOf<T>(type: number, items: readonly T[], write: (item: T) => Buffer): Buffer {
  return Buffer.concat([u32(types.array), u32(type), u64(items.length), ...items.map(write)])
}

function valueBytes(value: GgufValue): Buffer {
  if ('u32' in value) return Buffer.concat([u32(types.u32), u32(value.u32)])
  if ('f32' in value) return Buffer.concat([u32(types.f32), f32(value.f32)])
  if ('bool' in value) return Buffer.concat([u32(types.bool), Buffer.of(value.bool ? 1 : 0)])
  if ('text' in value) return Buffer.concat([u32(types.text), text(value.text)])
  if ('texts' in value) return arrayOf(types.text, value.texts, text)
  if ('i32s' in value) return arrayOf(types.i32, value.i32s, i32)
  return arrayOf(types.f32, value.f32s, f32)
}

const padded = (sizeBytes: number): number => Math.ceil(sizeBytes / alignment) * alignment

export function writeGguf(
  path: string,
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): void {
  const pairs = Object.entries(metadata)
  let offset = 0
  const places = tensors.map(({ name, shape, data }) => {
    const place = [text(name), u32(shape.length), ...shape.map(u64), u32(f32Tensor), u64(offset)]
    offset += padded(data.byteLength)
    return Buffer.concat(place)
  })
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(pairs.length),
    ...pairs.flatMap(([key, value]) => [text(key), valueBytes(value)]),
    ...places,
  ])
  const fill = (sizeBytes: number): Buffer => Buffer.alloc(padded(sizeBytes) - sizeBytes)
  const bodies = tensors.flatMap(({ data }) => [Buffer.from(data.buffer), fill(data.byteLength)])
  writeFileSync(path, Buffer.concat([head, fill(head.byteLength), ...bodies]))
}
