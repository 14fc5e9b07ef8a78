import { expect, test } from 'vitest'
import { limits } from '../../src/config/limits.ts'
import type { RequestRecord } from '../../src/pipeline/types.ts'
import { catalogFolder } from '../support/open-catalog.ts'
import { receiptOf } from '../support/scripted-service.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

const requestOf = (more: Partial<RequestRecord> = {}): RequestRecord => ({
  id: 'req_1',
  atMs: Date.UTC(2026, 10, 26, 13),
  model: 'smollm2-135m',
  tenant: null,
  session: null,
  route: 'chat',
  status: 'hit',
  error: null,
  plan: { matchedTokens: 1024, computeFrom: 1000, estimate: { restoreMs: 9, prefillMs: null } },
  receipt: receiptOf(),
  ...more,
})

test('a request is remembered as it was, also after a restart', async () => {
  const { open } = catalogFolder()
  const first = open()
  const failed = requestOf({ id: 'req_2', status: 'failed', receipt: null, plan: null, error: 'X' })
  first.requests.note(requestOf())
  first.requests.note(failed)
  expect(await first.requests.find('req_1')).toEqual(requestOf())
  first.close()

  const { requests } = open()
  expect(await requests.find('req_1')).toEqual(requestOf())
  expect((await requests.list({ limit: 10 })).requests).toEqual([failed, requestOf()])
  expect(await requests.find('req_3')).toBe(null)
})

test('what is noted after somebody looked, with nothing left to write, is remembered too', async () => {
  const { requests } = catalogFolder().open()
  for (const id of ['req_1', 'req_2', 'req_3']) {
    await requests.list({ limit: 1 })
    requests.note(requestOf({ id }))
    expect((await requests.list({ limit: 1 })).requests).toEqual([requestOf({ id })])
    await requests.list({ limit: 1 })
  }
})

test('requests come in pages, the latest first, of one model, session, status or tenant', async () => {
  const { requests } = catalogFolder().open()
  for (let at = 0; at < 5; at++) {
    requests.note(requestOf({ id: `req_${at}`, tenant: at % 2 === 0 ? 'ada' : null }))
  }
  const ids = ({ requests }: { requests: readonly RequestRecord[] }) => requests.map(({ id }) => id)
  const first = await requests.list({ limit: 3 })
  expect(ids(first)).toEqual(['req_4', 'req_3', 'req_2'])
  const next = await requests.list({ limit: 3, cursor: first.nextCursor as number })
  expect({ ids: ids(next), cursor: next.nextCursor }).toEqual({
    ids: ['req_1', 'req_0'],
    cursor: null,
  })
  expect(ids(await requests.list({ limit: 9, tenant: 'ada' }))).toEqual(['req_4', 'req_2', 'req_0'])
  expect(ids(await requests.list({ limit: 9, tenant: null }))).toEqual(['req_3', 'req_1'])
  expect(ids(await requests.list({ limit: 9, status: 'miss' }))).toEqual([])
  expect(ids(await requests.list({ limit: 9, model: 'other' }))).toEqual([])
  expect(await requests.find('req_0', 'bob')).toBe(null)
  expect(await requests.find('req_0', 'ada')).toMatchObject({ id: 'req_0' })
})

test('totals are sums of hours and models, from the hour on that the span begins in', async () => {
  const { open, clock } = catalogFolder()
  const before = open()
  before.totals.add('a', { requests: 1, promptTokens: 100 })
  before.totals.add('a', { requests: 1, promptTokens: 50, ssdWrittenBytes: 7 })
  before.totals.add('b', { requests: 1, promptTokens: 500, savedPrefillMs: 1.5 })
  before.close()

  clock.ms += 2 * hourMs
  const { totals } = open()
  totals.add('a', { requests: 1, promptTokens: 1 })
  const all = await totals.since(clock.ms - 3 * hourMs)
  expect(all.all).toMatchObject({ requests: 4, promptTokens: 651, ssdWrittenBytes: 7 })
  expect(all.models).toMatchObject([
    { model: 'b', promptTokens: 500, savedPrefillMs: 1.5 },
    { model: 'a', promptTokens: 151 },
  ])
  const recent = await totals.since(clock.ms - hourMs)
  expect(recent).toMatchObject({
    fromMs: Date.UTC(2026, 10, 26, 14),
    all: { requests: 1, promptTokens: 1 },
  })
})

test('hours of more than two weeks ago become days, and nothing is lost or counted twice', async () => {
  const { open, clock } = catalogFolder()
  const startMs = clock.ms
  const first = open()
  for (let hour = 0; hour < 30; hour++) {
    first.totals.add('a', { requests: 1 })
    clock.ms += hourMs
  }
  first.close()
  clock.ms += limits.catalogHoursMs + dayMs
  for (let again = 0; again < 2; again++) {
    const catalog = open()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const { all, days } = await catalog.totals.since(startMs)
    expect(all.requests).toBe(30)
    expect(days.map(({ requests }) => requests)).toEqual([11, 19])
    catalog.close()
  }
})

test('more requests than there may be push the oldest out', async () => {
  const { open } = catalogFolder()
  const first = open()
  const more = limits.catalogPruneRows + 7
  for (let at = 0; at < limits.catalogRequests + more; at++) {
    first.requests.note(requestOf({ id: `req_${at}`, receipt: null, plan: null }))
    // As slowly as the queue is written.
    if (at % 4000 === 0) await first.requests.find('none')
  }
  first.close()

  const { requests } = open()
  await expect.poll(() => requests.find(`req_${more - 1}`)).toBe(null)
  expect(await requests.find(`req_${more}`)).not.toBe(null)
})

test('requests of long ago are forgotten', async () => {
  const { open, clock } = catalogFolder()
  const first = open()
  first.requests.note(requestOf({ id: 'old', atMs: clock.ms - limits.catalogRequestsMs - 1 }))
  first.requests.note(requestOf({ id: 'young', atMs: clock.ms }))
  first.close()
  const { requests } = open()
  await expect.poll(() => requests.find('old')).toBe(null)
  expect(await requests.find('young')).not.toBe(null)
})

test('when far more is noted than can be written some is lost, and one warning says so', async () => {
  const { open, warnings } = catalogFolder()
  const { requests } = open()
  for (let at = 0; at < limits.catalogWaiting + 100; at++) requests.note(requestOf({ id: `${at}` }))
  expect(await requests.find(`${limits.catalogWaiting - 1}`)).not.toBe(null)
  expect(await requests.find(`${limits.catalogWaiting}`)).toBe(null)
  expect(warnings).toEqual([expect.stringContaining('some is lost')])
})

test('a session that has ended is no session of a later run, until it is used again', async () => {
  const { open } = catalogFolder()
  const first = open()
  for (const tenant of ['ada', null]) {
    first.requests.note(requestOf({ tenant, session: 'one' }))
    first.requests.note(requestOf({ tenant, session: 'two' }))
  }
  first.requests.endSession({ tenant: 'ada', id: 'one' })
  first.requests.endSession({ tenant: null, id: 'two' })
  first.close()

  const second = open()
  const names = (sessions: readonly RequestRecord[]) =>
    sessions.map(({ tenant, session }) => `${tenant} ${session}`)
  expect(names(second.requests.lastOfSessions())).toEqual(['ada two', 'null one'])
  second.requests.note(requestOf({ tenant: 'ada', session: 'one' }))
  second.close()
  expect(names(open().requests.lastOfSessions())).toEqual(['ada two', 'null one', 'ada one'])
})
