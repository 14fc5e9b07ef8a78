/**
 * Writes and removes records as fast as it can until it is killed. Prints `+number sizeBytes` once
 * a record is acknowledged, `-number` before a removal begins. Arguments: directory, seed.
 */
import { writeSync } from 'node:fs'
import {
  alignedBytes,
  createRandom,
  hashOf,
  MiB,
  makePayload,
  openTestTier,
  paddedBytes,
} from './stored-records.ts'

const [directory, seedText] = process.argv.slice(2) as [string, string]
const random = createRandom(Number(seedText))
const tier = await openTestTier(directory, { capacityBytes: 48 * MiB, usesFlushMs: 5 })
const stored = [...tier.records()].map((record) => Number.parseInt(record.hash, 16) - 1)
let nextNumber = Math.max(0, ...stored) + 1
const live = new Set(stored)

async function writer(view: Uint8Array): Promise<never> {
  for (;;) {
    const number = nextNumber++
    const sizeBytes = 1 + random(2.5 * MiB)
    const view4k = view.subarray(0, paddedBytes(sizeBytes))
    const { record, tokens, bytes } = makePayload(number, sizeBytes, view4k)
    if (live.size > 0 && random(3) === 0) await removeOne()
    while (tier.freeBytes() < 16 * MiB && live.size > 0) await removeOne()
    await tier.write(record, tokens, bytes)
    live.add(number)
    writeSync(1, `+${number} ${sizeBytes}\n`)
    tier.touch(record.hash, record.createdAtMs + 1)
  }
}

function forget(number: number): void {
  live.delete(number)
  writeSync(1, `-${number}\n`)
}

async function removeOne(): Promise<void> {
  const number = [...live][random(live.size)] as number
  forget(number)
  await tier.remove([{ hash: hashOf(number), kind: 'kv' }])
}

await Promise.all([1, 2, 3, 4].map(() => writer(alignedBytes(3 * MiB))))
