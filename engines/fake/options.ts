/** Settings of the fake engine, in `WorkerOptions.engine`; most of them are faults to order. */
import type { RecordKind } from '../../cache/types.ts'
import { EngineError } from '../errors.ts'
import type { WorkerOptions } from '../types.ts'
import { vocabularySizeMin } from './vocabulary.ts'

/** What a sequence remembers; `state` alone keeps nothing for each token. */
const kindsOfLayouts: Readonly<Record<string, readonly RecordKind[]>> = {
  kv: ['kv'],
  'kv+window': ['kv', 'window'],
  'kv+state': ['kv', 'state'],
  'kv+window+state': ['kv', 'window', 'state'],
  state: ['kv', 'state'],
}

export const fakeDefaults = {
  layout: 'kv',
  /** 0: as fast as possible. */
  prefillTokensPerSecond: 0,
  decodeTokensPerSecond: 0,
  bytesPerToken: 64,
  vocabularySize: vocabularySizeMin,
  /** It makes vectors too. */
  embeddings: false,
  /** Computing this position kills the process; -1: never. */
  crashAtToken: -1,
  /** Computing this position never ends; -1: never. */
  hangAtToken: -1,
  /** Computing this position throws; -1: never. */
  failAtToken: -1,
  /** Every import is refused by the engine. */
  failRestore: false,
  /** The model cannot be loaded. */
  failLoad: false,
  /** The process dies while it loads. */
  crashOnLoad: false,
  /** Loading takes so long. */
  loadMs: 0,
  /** Changes the weights, and so every answer and the fingerprint. */
  weightsSeed: 0,
}
export type FakeOptions = typeof fakeDefaults

/** Throws PREFIXD_E_ENGINE_SETTINGS naming the setting that is unknown or wrong. */
export function readFakeOptions(engine: WorkerOptions['engine']): FakeOptions {
  for (const [name, value] of Object.entries(engine)) {
    const known = Object.entries(fakeDefaults).find(([key]) => key === name)
    if (known === undefined || typeof value !== typeof known[1]) {
      throw wrong(
        name,
        `one of ${Object.keys(fakeDefaults).join(', ')}, with the type of its default`,
      )
    }
  }
  const options: FakeOptions = { ...fakeDefaults, ...engine }
  if (!Object.hasOwn(kindsOfLayouts, options.layout)) {
    throw wrong('layout', `one of ${Object.keys(kindsOfLayouts).join(', ')}`)
  }
  if (options.bytesPerToken < 8 || options.bytesPerToken % 4 !== 0) {
    throw wrong('bytesPerToken', 'a multiple of 4 from 8 upwards')
  }
  if (options.vocabularySize < vocabularySizeMin) {
    throw wrong('vocabularySize', `at least ${vocabularySizeMin}`)
  }
  return options
}

export function kindsOf({ layout }: FakeOptions): readonly RecordKind[] {
  return kindsOfLayouts[layout] as readonly RecordKind[]
}

/** Bytes of the row that every token leaves. */
export function rowBytes({ layout, bytesPerToken }: FakeOptions): number {
  return layout === 'state' ? 0 : bytesPerToken
}

function wrong(name: string, allowed: string): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_SETTINGS',
    `Setting \`${name}\` of the fake engine must be ${allowed}.`,
  )
}
