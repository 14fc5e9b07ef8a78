import { expect, test } from 'vitest'
import type { CacheEventJson } from '../../src/api/native/events-schema.ts'
import { refusal, startFixtureService } from './fixture-service.ts'
import { prefixd } from './run.ts'

const moved: Omit<Extract<CacheEventJson, { type: 'BlockRemoved' }>, 'type'> = {
  at_ms: new Date(2026, 10, 24, 13, 44, 9).getTime(),
  medium: 'ssd',
  kind: 'kv',
  model: 'smollm2-135m',
  block_hashes: ['9f2c41d07ab35e18', 'c04e7a95d3b8421f'],
}
const events: readonly CacheEventJson[] = [
  { type: 'BlockStored', ...moved, parent_block_hash: null, token_count: 1234 },
  { type: 'BlockRemoved', ...moved, medium: 'ram', kind: 'window', block_hashes: ['9f2c41d07ab3'] },
  { type: 'AllBlocksCleared', at_ms: moved.at_ms },
  { type: 'EventsMissed', at_ms: moved.at_ms, count: 3 },
]
const frames = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
const answer = { status: 200, body: `: following\n\n${frames.join(': ping\n\n')}` }

const follow = async (...words: string[]) => {
  await using service = await startFixtureService({ '/v1/cache/events': answer })
  return await prefixd(['events', ...words, '--url', service.url])
}

test('prefixd events prints a line for each event, and says when the service has ended', async () => {
  const { out, err, exit } = await follow()
  expect(out.trimEnd().split('\n')).toEqual([
    '13:44:09  stored   ssd  9f2c41d07ab3…  smollm2-135m  2 blocks, 1,234 tokens',
    '13:44:09  removed  ram  9f2c41d07ab3   smollm2-135m  1 block (window)',
    '13:44:09  cleared  nothing is stored any more',
    '13:44:09  missed   3 events came faster than they were read',
  ])
  expect(err).toContain('has ended')
  expect(exit).toBe(7)
})

test('prefixd events --json prints what the service sends, one object on each line', async () => {
  const { out } = await follow('--json')
  const objects = out.trimEnd().split('\n')
  expect(objects.map((line) => JSON.parse(line))).toEqual(events)
})

test('prefixd events ends at Ctrl-C with exit code 130, and passes on what the service refuses', async () => {
  await using service = await startFixtureService({
    '/v1/cache/events': refusal('PREFIXD_E_TOO_MANY_READERS', '16 clients follow them already.'),
  })
  const words = ['events', '--url', service.url]
  const { err, exit } = await prefixd(words)
  expect(err).toContain('16 clients follow them already.')
  expect(exit).toBe(1)
  expect((await prefixd(words, { isInterrupted: true })).exit).toBe(130)
})
