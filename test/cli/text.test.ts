import { expect, it } from 'vitest'
import { detailFixture, prefixFixtures, startFixtureService } from './fixture-service.ts'
import { prefixd } from './run.ts'

const label = 'You are \u001b[2Jterse.\u202e Never say more than what was asked for.'

it('ls shows how prompts begin with --text only, and obeys nothing of it', async () => {
  const data = prefixFixtures
    .slice(0, 2)
    .map((prefix, at) => ({ ...prefix, label: at ? null : label }))
  const body = { object: 'list', data, total: 2, next_cursor: null }
  await using service = await startFixtureService({ '/v1/cache/prefixes': { status: 200, body } })
  const plain = await prefixd(['ls', '--url', service.url], { width: 160 })
  expect(plain.out).not.toContain('terse')
  const shown = await prefixd(['ls', '--text', '--url', service.url], { width: 160 })
  expect(shown.out).toContain('You are \\x1b[2J')
  for (const control of ['\u001b', '\u202e']) expect(shown.out).not.toContain(control)
  expect(shown.out.split('\n')[2]).toMatch(/ -$/)
})

it('inspect shows how the prompt begins with --text, and what the prefix grew from', async () => {
  const answer = (more: object) => ({
    '/v1/cache/prefixes/9f2c': { status: 200, body: { ...detailFixture, ...more } },
  })
  await using kept = await startFixtureService(answer({ label, grown_from: 'e07d88b1f442' }))
  const ran = await prefixd(['inspect', '9f2c', '--text', '--url', kept.url])
  expect(ran.out).toMatch(/^grew from {2}e07d88b1f442$/m)
  expect(ran.out).toContain('You are \\x1b[2Jterse.\\u202e Never say more')
  const plain = await prefixd(['inspect', '9f2c', '--url', kept.url])
  expect(plain.out).not.toContain('terse')
  await using none = await startFixtureService(answer({}))
  const unknown = await prefixd(['inspect', '9f2c', '--text', '--url', none.url])
  expect(unknown.out).toContain('not kept: see the setting keep-text')
})
