/**
 * What the engine has computed goes into the cache, block by block, through the request's lease.
 */
import { performance } from 'node:perf_hooks'
import type { PrefixLease } from '../../cache/index.ts'
import type { RecordSink } from '../../engines/index.ts'
import { limits } from '../config/limits.ts'
import type { ChoicesDone } from './choices.ts'
import { makeReceipt, type UntimedReceipt } from './receipt.ts'
import type { Restored } from './restore.ts'
import type { CacheDirective } from './types.ts'

export function saveThrough(lease: PrefixLease): RecordSink {
  return {
    reserve: (request) => lease.reserve(request),
    commit: (record) => {
      lease.commit(record.bytes, record.crc32s)
    },
    abandon: (bytes) => lease.abandon(bytes),
  }
}

export interface Answered {
  readonly restored: Restored
  readonly answer: ChoicesDone
  readonly directive: CacheDirective
  readonly blockTokens: number
}

/** Waits until what was saved is confirmed, and makes the receipt of the whole request. */
export async function settle(lease: PrefixLease, answered: Answered): Promise<UntimedReceipt> {
  const finishedAt = performance.now()
  const savedTokens = await lease.settle(limits.saveConfirmMs)
  const settleMs = performance.now() - finishedAt
  const { restored, answer, directive, blockTokens } = answered
  const prefix = lease.prefixId
  return makeReceipt({
    plan: lease.plan,
    restored,
    done: answer.done,
    mayStore: directive.write,
    savedTokens,
    settleMs,
    prefix,
    blockTokens,
  })
}
