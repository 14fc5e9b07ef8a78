/** A cache in a directory of a test, with two prompts that an earlier run has stored. */
import { join } from 'node:path'
import { beforeEach } from 'vitest'
import { openCache } from '../../cache/index.ts'
import type { VerifyEvent } from '../../cache/types.ts'
import { makeDirectory } from './stored-records.ts'
import { serveToy, tokensOf } from './toy-engine.ts'

const mebibyte = 1024 ** 2
export const blockTokens = 1024
export const long = tokensOf([0, 4 * blockTokens])
export const other = tokensOf([500_000, 2 * blockTokens])

/** A directory of its own for each test of the file; what is open there is closed first. */
export function useCacheDirectory(encryptionKey: Uint8Array | null = null) {
  let path = ''
  const isOpen = new Set<() => Promise<void>>()
  beforeEach(() => {
    const made = makeDirectory()
    path = made.path
    return async () => {
      for (const close of isOpen) await close()
      made.remove()
    }
  })

  async function open(ssdBytes = 64 * mebibyte, directory = path) {
    const warnings: string[] = []
    const opened = await openCache({
      directory,
      ramBytes: 4 * mebibyte,
      ssdBytes,
      encryptionKey,
      blockTokens,
      reuse: 'token',
      boundaryTokens: blockTokens,
      boundaryShare: 0.25,
      keptShare: 0.5,
      keptHints: 16,
      eviction: 'lru',
      rememberedBlocks: 1024,
      rememberedDamages: 16,
      restoreWindowBytes: mebibyte,
      reserveWaitMs: 1000,
      ssdWritesInFlight: 4,
      ssdReadsInFlight: 4,
      ssdWritesPerDayBytes: null,
      closeFlushMs: 1000,
      slabStepBytes: 4 * mebibyte,
      freeDiskFloorBytes: 0,
      now: Date.now,
      warn: (message) => warnings.push(message),
    })
    const close = async () => {
      if (isOpen.delete(close)) await opened.close()
    }
    isOpen.add(close)
    return { cache: opened.cache, warnings, close }
  }

  return {
    get path() {
      return path
    },
    get slab() {
      return join(path, 'spill.slab')
    },
    open,
    /** Two prompts of four and two blocks, on the disk, in its first six slots. */
    async store() {
      const { cache, close } = await open()
      await serveToy(cache, long)
      await serveToy(cache, other)
      await cache.flush()
      await close()
    },
  }
}

/** All that a verification says; throws for one that never ends. */
export async function readVerification(events: AsyncIterable<VerifyEvent>) {
  const findings = []
  for await (const event of events) {
    if (event.type === 'finding') findings.push(event.finding)
    if (event.type === 'done') return { findings, report: event.report }
  }
  throw new Error('the verification never ended')
}
