/** Token ids that have changed on the disk, as the real service finds them after a restart. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createServiceFolder, fakeTokens, type TestService } from './support/start-service.ts'

interface Answer {
  readonly cache: { readonly miss?: { readonly reason: string } | null }
}

/** Three short chats of one template: each is a tail, and has its answer beside its prompt. */
const prompts = [1, 2, 3].map((start) => [...fakeTokens(9, 10), ...fakeTokens(start, 60)])

async function askAll(service: TestService): Promise<(string | undefined)[]> {
  const reasons: (string | undefined)[] = []
  for (const prompt of prompts) {
    const body = { model: 'fake', prompt, max_tokens: 6 }
    const reply = await service.post('/v1/completions', body)
    expect(reply.status).toBe(200)
    reasons.push(((await reply.json()) as Answer).cache.miss?.reason)
  }
  return reasons
}

/** Changes one id of every copy of each prompt's ids in the index; returns how many there were. */
function rotIds(directory: string): number {
  const files = readdirSync(directory, { recursive: true }).map(String)
  const path = join(directory, files.find((file) => file.endsWith('index.mdb')) ?? '')
  const bytes = readFileSync(path)
  let rotten = 0
  for (const prompt of prompts) {
    const ids = Buffer.from(Uint32Array.from(prompt).buffer)
    for (let at = bytes.indexOf(ids); at >= 0; at = bytes.indexOf(ids, at + 1)) {
      bytes.writeUInt32LE(7, at + 80)
      rotten++
    }
  }
  writeFileSync(path, bytes)
  return rotten
}

test('chats whose stored token ids have changed miss as corrupt, once, and the log has each', async () => {
  const folder = createServiceFolder()
  const before = await folder.start()
  await askAll(before)
  await before.stop()
  expect(rotIds(folder.data)).toBeGreaterThanOrEqual(prompts.length)
  const after = await folder.start()
  expect(await askAll(after)).toEqual(['corrupt', 'corrupt', 'corrupt'])
  expect(await askAll(after)).toEqual([undefined, undefined, undefined])
  const warnings = after.lines.filter((line) => line.includes('is not used any more'))
  expect(new Set(warnings).size).toBe(prompts.length)
})
