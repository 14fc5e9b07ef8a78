/**
 * llama.cpp accepts boundary parts that do not belong to the tokens before them, and computes wrong
 * logits from them. Here they are put there past every other check; the guard must see them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryOf } from '../../../engines/llamacpp/architecture.ts'
import { readAttention } from '../../../engines/llamacpp/attention-settings.ts'
import { createContext, type LlamaContext } from '../../../engines/llamacpp/context.ts'
import { loadLibrary } from '../../../engines/llamacpp/library.ts'
import { measureMemory } from '../../../engines/llamacpp/measure-memory.ts'
import { kindsOf, recordBytesOf } from '../../../engines/llamacpp/memory-shape.ts'
import type { RecordMover } from '../../../engines/llamacpp/records.ts'
import type { Pointer } from '../../../engines/llamacpp/structs.ts'
import { type FamilyName, familyModelPath } from '../../support/family-models.ts'
import type { CutRecord } from '../../support/family-runs.ts'

const sequence = 0
const cuts = [40, 90, 130, 155, 200, 256, 257, 300, 350, 384, 420, 450]
/** Enough that a ring of 768 cells has lost the windows of all cuts. */
const promptTokens = 1200

const families: readonly FamilyName[] = ['gemma3-128', 'gpt-oss', 'lfm2', 'lfm2-window', 'qwen35']

describe.each(families)('the guard of %s', (family) => {
  const { calls, ...library } = loadLibrary(null)
  let model: Pointer
  let llama: LlamaContext
  let mover: RecordMover
  const saved = new Map<number, readonly CutRecord[]>()

  beforeAll(async () => {
    const params = calls.llama_model_default_params()
    model = calls.llama_model_load_from_file(familyModelPath(family), params) as Pointer
    llama = await createContext({ calls, ...library }, model, {
      rope: { contextTokens: 1536, scaling: null },
      attention: readAttention({}),
      threads: 1,
      blockTokens: 256,
      storesRecords: true,
    })
    const windowTokens = calls.llama_model_n_swa(model)
    const { memory } = memoryOf({
      name: family.replace(/-(window|\d+)$/, ''),
      windowTokens,
      recurrent: calls.llama_model_is_recurrent(model),
      hybrid: calls.llama_model_is_hybrid(model),
    })
    if (memory === null) throw new Error(`${family} is not known`)
    const ropeType = calls.llama_model_rope_type(model)
    const measured = measureMemory(llama, { memory, windowTokens, ropeType })
    if (measured.mover === null) throw new Error(measured.refusal)
    mover = measured.mover
    for (const cut of cuts) {
      computeTo(cut)
      saved.set(
        cut,
        kindsOf[memory].map((kind) => exported(kind, cut)),
      )
    }
  })
  afterAll(() => {
    llama.free()
    calls.llama_model_free(model)
  })

  const end = (): number => 1 + calls.llama_memory_seq_pos_max(llama.memory, sequence)
  function computeTo(position: number): void {
    for (let from = end(); from < position; from = end()) {
      const tokens = Uint32Array.from({ length: Math.min(256, position - from) }, (_, at) => {
        return ((from + at) * 7) % 251
      })
      const batch = llama.batch.fill(tokens, from, sequence, 'none')
      expect(calls.llama_decode(llama.context, batch)).toBe(0)
    }
  }
  /** The tokens as one record from 0 on, or what is exact at the cut. */
  function exported(kind: CutRecord['kind'], to: number): CutRecord {
    const bytes = new Uint8Array(recordBytesOf(mover.shape, kind, 0, to) ?? 0)
    expect(mover.exportFrom(sequence, { kind, from: 0, to }, bytes)).toBe(bytes.length)
    return { kind, from: 0, to, bytes }
  }
  const empty = (): void => {
    calls.llama_memory_seq_rm(llama.memory, sequence, -1, -1)
  }
  const put = (records: readonly CutRecord[]): void => {
    for (const { kind, from, to, bytes } of records) {
      const place = { kind, from, to, keepTo: to, crc32s: [], offset: 0, generation: 0 }
      const record = { ...place, sizeBytes: bytes.length }
      expect(mover.importInto(sequence, record, bytes)).toBeNull()
    }
  }
  const savedAt = (cut: number): readonly CutRecord[] => saved.get(cut) ?? []
  const verdictOf = (records: readonly CutRecord[], cut: number): string | null => {
    empty()
    put(records)
    return mover.guardFault(sequence, cut)
  }

  it('has no say where measuring finds another memory than was thought: that is refused', () => {
    const windowTokens = calls.llama_model_n_swa(model)
    const ropeType = calls.llama_model_rope_type(model)
    const facts = { memory: mover.shape.memory, windowTokens, ropeType }
    llama.wipe()
    for (const memory of Object.keys(kindsOf) as (keyof typeof kindsOf)[]) {
      const { refusal } = measureMemory(llama, { ...facts, memory })
      if (memory === facts.memory) expect(refusal).toBeNull()
      else expect(refusal, memory).toContain('not laid out')
    }
    const otherRope = ropeType === 40 ? 0 : 40
    expect(measureMemory(llama, { ...facts, ropeType: otherRope }).mover).toBeNull()
  })

  it('lets pass what belongs together, and nothing else', () => {
    let refused = 0
    for (const cut of cuts) {
      const [rows, ...exact] = savedAt(cut)
      if (rows === undefined) throw new Error('rows were expected')
      expect(verdictOf([rows, ...exact], cut)).toBeNull()
      const others = cuts.filter((each) => each !== cut)
      const wrong = [
        ...others.map((other) => [rows, ...savedAt(other).slice(1)]),
        ...exact.map((missing) => [rows, ...exact.filter((it) => it !== missing)]),
        exact,
      ]
      for (const records of wrong) {
        expect(verdictOf(records, cut), `${cut}`).not.toBeNull()
        refused += 1
      }
    }
    const kinds = kindsOf[mover.shape.memory].length
    expect(refused).toBe(cuts.length * (cuts.length - 1 + kinds))
  })

  it('sees that a window or state is gone where tokens were cut off', () => {
    empty()
    computeTo(promptTokens)
    for (const cut of [...cuts].reverse()) {
      calls.llama_memory_seq_rm(llama.memory, sequence, cut, -1)
      expect(mover.guardFault(sequence, cut)).not.toBeNull()
    }
  })
})
