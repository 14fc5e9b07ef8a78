import Value from 'typebox/value'
import { expect, test } from 'vitest'
import type { VerifyEvent } from '../../cache/types.ts'
import { StreamErrorSchema, VerifyEventSchema } from '../../src/api/native/upkeep-schema.ts'
import { createServer } from '../../src/api/server.ts'
import { PrefixdError } from '../../src/errors.ts'
import { scriptedService } from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

const report = { records: 7, sizeBytes: 70, findings: 1, corrupt: 1, removedRecords: 0 }
const events: readonly VerifyEvent[] = [
  { type: 'progress', records: 1, totalRecords: 7, sizeBytes: 10 },
  {
    type: 'finding',
    finding: { kind: 'leak', hash: null, record: null, what: 'a slot', mended: false },
  },
  { type: 'done', report },
]

type Verify = ReturnType<typeof scriptedService>['cache']['verify']

function serviceThat(verify: Verify) {
  const service = scriptedService()
  return { ...service, cache: { ...service.cache, verify } }
}

const objectsIn = (text: string): unknown[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('a verification is told line by line, each line as its schema has it', async () => {
  const asked: boolean[] = []
  const service = serviceThat(async function* (repair) {
    asked.push(repair)
    yield* events
  })
  for (const payload of [undefined, {}, { repair: true }]) {
    const url = '/v1/cache/verify'
    const reply = await createServer(service).inject({
      method: 'POST',
      url,
      ...(payload === undefined ? {} : { payload }),
    })
    expect(reply.headers['content-type']).toMatch('application/x-ndjson')
    const lines = objectsIn(reply.body)
    expect(lines.flatMap((line) => [...Value.Errors(VerifyEventSchema, line)])).toEqual([])
    expect(lines).toMatchObject([{ total_records: 7 }, { block: null }, { type: 'done' }])
  }
  expect(asked).toEqual([false, false, true])
})

test('a failure in the middle is a line of its own', async () => {
  const service = serviceThat(async function* () {
    yield events[0] as VerifyEvent
    throw new PrefixdError('PREFIXD_E_ENGINE_STOPPING', 'The service is stopping.')
  })
  const reply = await createServer(service).inject({ method: 'POST', url: '/v1/cache/verify' })
  const last = objectsIn(reply.body).at(-1)
  expect([...Value.Errors(StreamErrorSchema, last)]).toEqual([])
  expect(last).toMatchObject({ code: 'PREFIXD_E_ENGINE_STOPPING' })
})

test('a client that goes away ends the verification', async () => {
  let isEnded = (_: unknown) => {}
  const ended = new Promise((resolve) => {
    isEnded = resolve
  })
  const service = serviceThat(async function* (_, signal) {
    signal.addEventListener('abort', () => isEnded(signal.reason))
    yield events[0] as VerifyEvent
    await ended
  })
  const { url } = await startApi(service)
  const stop = new AbortController()
  const response = await fetch(`${url}/v1/cache/verify`, { method: 'POST', signal: stop.signal })
  await response.body?.getReader().read()
  stop.abort()
  expect(await ended).toMatchObject({ name: 'ClientGone' })
})
