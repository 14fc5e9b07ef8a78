/**
 * Engine fingerprint, weights, block layout and salt → namespace.
 *
 * The namespace is the root of every chain: where any of these differs, no block is ever shared.
 */
import { createHash } from 'node:crypto'
import type { Namespace } from './types.ts'

export interface NamespaceParts {
  /** All that the worker declares of itself; nested records of strings, numbers and booleans. */
  readonly fingerprint: object
  /** sha256 of the weights. */
  readonly weightsDigest: string
  readonly blockTokens: number
  /** Derived by the server from its own secret and the API key; empty when nobody is told apart. */
  readonly salt: string
}

/** JSON with sorted keys, so that equal parts always give equal bytes. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const sorted = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    const members = sorted.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}

/** sha256 hex digest of the parts. */
export function namespaceOf(parts: NamespaceParts): Namespace {
  return createHash('sha256').update(canonical(parts)).digest('hex') as Namespace
}
