import { rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { complete, completeCold } from '../../bench/completions-client.ts'
import { flipByte } from '../support/flip-byte.ts'
import {
  createServiceFolder,
  fakeFlags,
  fakeTokens,
  type ServiceFolder,
} from '../support/start-service.ts'

const mebibyte = 1024 ** 2
const blockTokens = 256
const fake = { bytesPerToken: 1024 }
const request = { tokens: fakeTokens(1, 8 * blockTokens), answerTokens: 8 }
const other = { tokens: fakeTokens(2, 3 * blockTokens), answerTokens: 8 }

const slabOf = (folder: ServiceFolder): string => join(folder.data, 'spill.slab')

/** Stores two prompts, kills the service, damages its files, and starts it again. */
async function afterDamage(damage: (folder: ServiceFolder) => void) {
  const folder = createServiceFolder()
  const before = await folder.start(fakeFlags, fake)
  const first = await complete(before.url, request)
  expect(first.savedTokens).toBe(8 * blockTokens + 7)
  expect((await complete(before.url, other)).savedTokens).toBe(3 * blockTokens + 7)
  await before.kill()
  damage(folder)
  const service = await folder.start(fakeFlags, fake)
  return { service, first }
}

test('a flipped byte is a logged miss with the right answer; what stands before it is restored', async () => {
  // The first prompt's blocks lie in the first slots, in their order.
  const { service, first } = await afterDamage((folder) =>
    flipByte(slabOf(folder), 3 * mebibyte + 100_000),
  )
  const again = await complete(service.url, request)
  expect(again.text).toBe(first.text)
  expect(again).toMatchObject({ cachedTokens: 3 * blockTokens, missReason: 'corrupt', tier: 'ssd' })
  expect(service.lines.join('\n')).toMatch(/warn: block \w+ could not be read back.*checksum/)
  expect(await service.get('/v1/cache/stats')).toMatchObject({ corrupt_blocks: 1 })

  // Computed anew, it is stored anew; and nothing else was lost.
  const healed = await complete(service.url, request)
  expect(healed).toMatchObject({ text: first.text, cachedTokens: 8 * blockTokens - 1 })
  expect((await complete(service.url, other)).cachedTokens).toBe(3 * blockTokens - 1)
})

test('a truncated slab loses what lay behind its end, and says so', async () => {
  const { service, first } = await afterDamage((folder) =>
    truncateSync(slabOf(folder), 4 * mebibyte + 4096),
  )
  expect(service.lines.join('\n')).toMatch(/warn: \d+ records of the SSD tier were dropped/)
  const again = await complete(service.url, request)
  expect(again).toMatchObject({ text: first.text, cachedTokens: 4 * blockTokens })
  expect((await complete(service.url, request)).cachedTokens).toBe(8 * blockTokens - 1)
})

test('a deleted index is an empty cache over the same slab, which is used again', async () => {
  const { service, first } = await afterDamage((folder) => {
    rmSync(join(folder.data, 'index.mdb'))
  })
  expect(await service.get('/v1/cache/stats')).toMatchObject({ blocks: 0 })
  const again = await complete(service.url, request)
  expect(again).toMatchObject({ text: first.text, cachedTokens: 0, missReason: 'never_seen' })
  expect(again.savedTokens).toBe(8 * blockTokens + 7)
  expect((await completeCold(service.url, request)).text).toBe(first.text)
})
