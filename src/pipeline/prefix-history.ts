/**
 * What people know prefixes by, beyond this run: who hit them, what they grew from, how they begin.
 * The index says which prefixes there are, and the catalog follows it.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { type Cache, type CachedBlock, leavesOf, type PrefixLease } from '../../cache/index.ts'
import type { PrefixLog, PrefixRecord } from '../catalog/types.ts'
import { limits } from '../config/limits.ts'
import type { Prompt } from './types.ts'

/** Leaves that are noted before the others get a turn. */
const leavesPerTurn = 200

const recordOf = (block: CachedBlock, cache: Cache): PrefixRecord => ({
  hash: block.hash,
  namespace: block.namespace,
  // All blocks before the last one are whole.
  tokens: block.index * cache.blockTokens + block.tokenCount,
  hits: block.hits,
  grownFrom: null,
  label: null,
  createdAtMs: block.createdAtMs,
  usedAtMs: block.lastUsedAtMs,
})

/** Where this request ended, and what it went on from, which has one hit more. */
export function prefixesOf(
  { end, begun }: PrefixLease,
  cache: Cache,
  label: string | null,
): PrefixRecord[] {
  const hit = begun === null || begun === end ? [] : [recordOf(begun, cache)]
  if (end === null) return hit
  const [from] = hit
  return [...hit, { ...recordOf(end, cache), grownFrom: from?.hash ?? null, label }]
}

/** The first words of a prompt: of a chat's first message, mostly the system's. */
export function labelOf(prompt: Prompt): string | null {
  if (prompt.kind === 'tokens') return null
  const text = prompt.kind === 'chat' ? textOf(prompt.input.messages[0]?.content) : prompt.text
  const words = text.slice(0, limits.labelScanChars).replace(/\s+/g, ' ').trim()
  return words === '' ? null : words.slice(0, limits.labelChars)
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part) => String((part as { text?: unknown } | null)?.text ?? '')).join(' ')
}

/**
 * At start, behind the requests: hits of earlier runs are given back to the index, what is no
 * longer stored is forgotten, and what nobody has noted is noted. Resolves when that is done.
 */
export async function reconcile(cache: Cache, prefixes: PrefixLog): Promise<void> {
  for (let after = ''; ; await turn()) {
    const page = prefixes.page(after)
    for (const { hash, hits } of page) {
      if (!cache.restoreHits(hash, hits)) prefixes.forget(hash)
    }
    const last = page.at(-1)
    if (last === undefined) break
    after = last.hash
  }
  let noted = 0
  for (const leaf of leavesOf(cache.index)) {
    if (prefixes.find(leaf.hash) === null) prefixes.note(recordOf(leaf, cache))
    noted++
    if (noted % leavesPerTurn === 0) await prefixes.written()
  }
}
