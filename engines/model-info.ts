/** Reads what a worker declares of its model, and trusts no field of it. */
import type { Layout } from '../cache/types.ts'
import { protocolError } from './frames.ts'
import type { ModelInfo } from './types.ts'

const counts = [
  'contextTokens',
  'trainedContextTokens',
  'vocabularySize',
  'parameterCount',
  'weightsBytes',
  'sequences',
] as const satisfies readonly (keyof ModelInfo)[]

const layoutCounts = [
  'kvBytesPerToken',
  'kvFixedBytes',
  'rowBytesPerToken',
  'boundaryBytes',
] as const satisfies readonly (keyof Layout)[]

/** Throws PREFIXD_E_ENGINE_PROTOCOL naming the field that a worker got wrong. */
export function checkModelInfo(info: ModelInfo): ModelInfo {
  for (const name of counts) {
    if (!isCount(info[name])) throw protocolError(`\`info.${name}\` must be an integer ≥ 0`)
  }
  if (info.sequences < 1) throw protocolError('`info.sequences` must be at least 1')
  if (info.contextTokens < 1) throw protocolError('`info.contextTokens` must be at least 1')
  if (typeof info.generates !== 'boolean') throw protocolError('`info.generates` must be a boolean')
  checkEmbedding(info)
  if (typeof info.hasChatTemplate !== 'boolean') {
    throw protocolError('`info.hasChatTemplate` must be a boolean')
  }
  if (info.chatTemplate !== null && typeof info.chatTemplate !== 'string') {
    throw protocolError('`info.chatTemplate` must be a string or null')
  }
  const { gap } = info
  if (gap !== null && ![gap?.prefix, gap?.suffix, gap?.middle].every(isCount)) {
    throw protocolError('`info.gap` must be null, or have `prefix`, `suffix` and `middle`')
  }
  const { endTokens } = info
  if (!Array.isArray(endTokens) || !endTokens.every(isCount)) {
    throw protocolError('`info.endTokens` must be an array of integers ≥ 0')
  }
  if (typeof info.device !== 'string') throw protocolError('`info.device` must be a string')
  checkFingerprint(info)
  checkLayout(info.layout)
  return info
}

/** Two processes of one worker must agree on this, or stored bytes would meet another model. */
export function identityOf({ fingerprint, layout, sequences, contextTokens }: ModelInfo): string {
  const settings = Object.entries(fingerprint.settings).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([{ ...fingerprint, settings }, layout, sequences, contextTokens])
}

function checkEmbedding({ embedding }: ModelInfo): void {
  if (embedding === null) return
  const isKnown = ['mean', 'cls', 'last'].includes(embedding?.pooling)
  if (isKnown && isCount(embedding.size) && embedding.size > 0) return
  throw protocolError('`info.embedding` must be null or have `size` and `pooling`')
}

function checkFingerprint({ fingerprint }: ModelInfo): void {
  const { engine, build, stateFormat, architecture, kvTypes } = fingerprint ?? {}
  for (const word of [engine, build, stateFormat, architecture, kvTypes]) {
    if (typeof word !== 'string') throw protocolError('`info.fingerprint` lacks a string')
  }
  const pairs = Object.values(fingerprint.settings ?? { missing: null })
  if (
    typeof fingerprint.flashAttention !== 'boolean' ||
    pairs.some((it) => typeof it !== 'string')
  ) {
    throw protocolError('`info.fingerprint` needs `flashAttention` and `settings` of strings')
  }
}

function checkLayout(layout: Layout): void {
  const kinds: unknown = layout?.kinds
  const known = Array.isArray(kinds) && kinds.every((it) => ['kv', 'window', 'state'].includes(it))
  if (!known || typeof layout.sliceable !== 'boolean') {
    throw protocolError('`info.layout` needs `kinds` of kv, window or state, and `sliceable`')
  }
  for (const name of layoutCounts) {
    if (!isCount(layout[name]))
      throw protocolError(`\`info.layout.${name}\` must be an integer ≥ 0`)
  }
  if (layout.refusal !== null && typeof layout.refusal !== 'string') {
    throw protocolError('`info.layout.refusal` must be a string or null')
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
