import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SsdTier, StoredRecord } from '../../cache/tiers/tier.ts'
import { hashOf, MiB, makeDirectory, makePayload, openTestTier } from '../support/stored-records.ts'

let directory: ReturnType<typeof makeDirectory>
let opened: SsdTier | null = null

beforeEach(() => {
  directory = makeDirectory()
})

afterEach(async () => {
  await opened?.close()
  opened = null
  directory.remove()
})

/** Closes the tier that is open, as a restart does. */
async function open(): Promise<SsdTier> {
  await opened?.close()
  opened = await openTestTier(directory.path)
  return opened
}

async function store(tier: SsdTier, number: number, sizeBytes: number): Promise<StoredRecord> {
  const { record, tokens, bytes } = makePayload(number, sizeBytes)
  await tier.write(record, tokens, bytes)
  return record
}

test('the last use of a block survives a restart, and goes with the block', async () => {
  let tier = await open()
  const record = await store(tier, 1, MiB)
  tier.touch(record.hash, record.lastUsedAtMs + 500)
  tier.touch(hashOf(77), 1)
  tier = await open()
  expect([...tier.records()][0]?.lastUsedAtMs).toBe(record.lastUsedAtMs + 500)
  await tier.remove([record])
  await store(tier, 1, MiB)
  expect([...(await open()).records()][0]?.lastUsedAtMs).toBe(record.lastUsedAtMs)
})

test('every block has its own last use, and all records may be asked for again', async () => {
  const tier = await open()
  const records = []
  for (let number = 1; number <= 5; number++) records.push(await store(tier, number, 1))
  for (const number of [1, 2, 4]) tier.touch(hashOf(number), 2_000_000_000_000 + number)
  const again = await open()
  const asRead = [...again.records()]
  expect(asRead).toEqual(
    records.map((record, at) => {
      const number = at + 1
      const isUsed = [1, 2, 4].includes(number)
      return isUsed ? { ...record, lastUsedAtMs: 2_000_000_000_000 + number } : record
    }),
  )
  await again.remove([asRead[2] as StoredRecord])
  expect([...again.records()]).toEqual(asRead.toSpliced(2, 1))
})
