import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { prefixd } from './cli/run.ts'
import { createServiceFolder, fakeFlags } from './support/start-service.ts'

const secret = 'the nightingale sings at midnight '

it('records what the service answered, without its text, so that it can be replayed', async () => {
  const folder = createServiceFolder()
  const path = join(folder.path, 'trace.jsonl')
  const service = await folder.start({ ...fakeFlags, record: path, 'block-tokens': '32' })
  for (const question of ['first', 'second', 'second']) {
    const prompt = secret.repeat(10) + question
    const body = { model: 'fake', prompt, max_tokens: 4 }
    expect((await service.post('/v1/completions', body)).status).toBe(200)
  }
  await service.stop()

  const text = readFileSync(path, 'utf8')
  expect(text).not.toContain('nightingale')
  const lines = text.trimEnd().split('\n')
  expect(lines).toHaveLength(3)
  const [first, second, third] = lines.map((line) => JSON.parse(line))
  expect(first.hash_ids).toHaveLength(Math.ceil(first.input_length / 32))
  expect(second.hash_ids.slice(0, 10)).toEqual(first.hash_ids.slice(0, 10))
  expect(third.hash_ids).toEqual(second.hash_ids)

  const ran = await prefixd(['simulate', path, '--sizes', '1GiB', '--policy', 'lru', '--json'])
  const { asked_blocks, distinct_blocks, sizes } = JSON.parse(ran.out)
  expect(sizes[0].policies[0].hit_blocks).toBe(asked_blocks - distinct_blocks)
  expect(asked_blocks - distinct_blocks).toBeGreaterThan(15)
})
