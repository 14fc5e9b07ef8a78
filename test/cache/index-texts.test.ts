/** What stands in the index beside the records, and survives a restart with them. */
import { beforeEach, expect, test } from 'vitest'
import type { SsdTierOnDisk } from '../../cache/tiers/tier.ts'
import type { Namespace } from '../../cache/types.ts'
import { MiB, makeDirectory, makePayload, openTestTier } from '../support/stored-records.ts'

let open: () => Promise<SsdTierOnDisk>

beforeEach(() => {
  const directory = makeDirectory()
  let opened: SsdTierOnDisk | null = null
  /** Closes the tier that is open, as a restart does. */
  open = async () => {
    await opened?.close()
    opened = await openTestTier(directory.path)
    return opened
  }
  return async () => {
    await opened?.close()
    directory.remove()
  }
})

test('of a namespace the latest note is kept', async () => {
  const tier = await open()
  const namespace = 'e'.repeat(64) as Namespace
  await tier.note(namespace, 'a model')
  await tier.note(namespace, 'the same model, renamed')
  expect([...(await open()).notes()]).toEqual([[namespace, 'the same model, renamed']])
})

test('what is pinned is kept, and no note is taken for it', async () => {
  const tier = await open()
  expect(tier.pins.read()).toBeNull()
  await tier.pins.write('one pin')
  await tier.pins.write('another pin')
  const again = await open()
  expect(again.pins.read()).toBe('another pin')
  expect([...again.notes()]).toEqual([])
})

test('what the last write said of all writes is kept, and no note is taken for it', async () => {
  const tier = await open()
  expect(tier.writes()).toBeNull()
  const [first, second] = [makePayload(1, MiB), makePayload(2, MiB)]
  await tier.write(first.record, first.tokens, first.bytes, 'one MiB')
  await tier.write(second.record, second.tokens, second.bytes)
  const again = await open()
  expect(again.writes()).toBe('one MiB')
  expect([...again.notes()]).toEqual([])
})
