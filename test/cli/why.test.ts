import { expect, it } from 'vitest'
import { startFixtureService } from './fixture-service.ts'
import { requestFixture } from './history-fixtures.ts'
import { prefixd } from './run.ts'

it('explains the latest request where none is named', async () => {
  await using service = await startFixtureService()
  const named = await prefixd(['why', 'req_mgx1k2', '--url', service.url])
  const latest = await prefixd(['why', '--url', service.url])
  expect(latest).toEqual(named)
  expect(service.requests.map(({ line }) => line)).toEqual([
    'GET /v1/requests/req_mgx1k2',
    'GET /v1/requests?limit=1',
  ])
})

it('says of a request that failed with what, and nothing of tokens', async () => {
  const failed = {
    ...requestFixture,
    status: 'failed',
    error: 'PREFIXD_E_ENGINE_DIED',
    cache: null,
  }
  const answer = { status: 200, body: failed }
  await using service = await startFixtureService({ '/v1/requests/req_mgx1k2': answer })
  const ran = await prefixd(['why', 'req_mgx1k2', '--url', service.url])
  expect(ran.out).toContain('failed: PREFIXD_E_ENGINE_DIED')
  expect(ran.out).not.toContain('tokens')
})

it('says that there is nothing to explain before the first request, and refuses two questions', async () => {
  const empty = { status: 200, body: { object: 'list', data: [], next_cursor: null } }
  await using service = await startFixtureService({ '/v1/requests': empty })
  const none = await prefixd(['why', '--url', service.url])
  expect(none).toMatchObject({ exit: 4, err: expect.stringContaining('No request is remembered.') })
  const both = await prefixd(['why', 'req_mgx1k2', '--last', '--url', service.url])
  expect(both).toMatchObject({ exit: 2, err: expect.stringContaining('--last') })
  const watch = await prefixd(['stats', '--since', '1h', '--watch', '--url', service.url])
  expect(watch).toMatchObject({ exit: 2, err: expect.stringContaining('--watch') })
})
