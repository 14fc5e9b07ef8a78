import { describe, expect, it } from 'vitest'
import type { SessionEndJson, SessionJson } from '../../src/api/native/session-schema.ts'
import { refusal, startFixtureService } from './fixture-service.ts'
import { nowMs, prefixd } from './run.ts'

const mebibyte = 1024 ** 2
const minuteMs = 60_000

const session: SessionJson = {
  id: '7be1',
  object: 'session',
  tenant: null,
  model: 'smollm2-135m',
  prefix: '07e68e7b872b',
  tokens: 1033,
  tiers: ['ram', 'ssd'],
  kept_in_ram_until_ms: nowMs + 20 * minuteMs,
  last_used_at_ms: nowMs - 2 * minuteMs,
  forked_from: null,
}
const fork: SessionJson = {
  ...session,
  id: 'b\u001b[2J',
  tenant: 'ada',
  prefix: null,
  tokens: null,
  tiers: [],
  kept_in_ram_until_ms: null,
  forked_from: '7be1',
}
const ended: SessionEndJson = {
  ...session,
  own_bytes: { ram: 23 * mebibyte, ssd: 24 * mebibyte },
  freed_bytes: { ram: 2 * mebibyte, ssd: 0 },
}

const listing = (...data: readonly SessionJson[]) =>
  startFixtureService({ '/v1/sessions': { status: 200, body: { object: 'list', data } } })

const answering = (verb: string, body: object, id = '7be1') =>
  startFixtureService({ [`/v1/sessions/${id}/${verb}`]: { status: 200, body } })

const cells = (out: string): string[][] =>
  out
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/))

describe('prefixd sessions ls', () => {
  it('shows a line for each session', async () => {
    await using service = await listing(session)
    const ran = await prefixd(['sessions', 'ls', '--url', service.url], { width: 120 })
    expect(ran).toMatchObject({ exit: 0, err: '' })
    expect(cells(ran.out)).toEqual([
      ['SESSION', 'MODEL', 'PREFIX', 'TOKENS', 'TIER', 'LAST USED', 'IN RAM FOR'],
      ['7be1', 'smollm2-135m', '07e68e7b872b', '1,033', 'ram+ssd', '2 min ago', '20m'],
    ])
  })

  it('shows keys and parents where there are any, and writes out what a terminal would obey', async () => {
    await using service = await listing(session, fork)
    const ran = await prefixd(['sessions', 'ls', '--url', service.url], { width: 160 })
    const [header, , last] = cells(ran.out)
    expect(header).toEqual(expect.arrayContaining(['TENANT', 'FORKED FROM']))
    expect(last).toEqual([
      'b\\x1b[2J',
      'ada',
      'smollm2-135m',
      '-',
      '-',
      '-',
      '2 min ago',
      '-',
      '7be1',
    ])
  })

  it('says that there is none, and prints JSON as the service said it', async () => {
    await using service = await listing()
    const words = ['sessions', 'ls', '--url', service.url]
    expect((await prefixd(words)).out).toBe('no session is remembered\n')
    expect(JSON.parse((await prefixd([...words, '--json'])).out)).toEqual({
      object: 'list',
      data: [],
    })
  })
})

describe('prefixd sessions', () => {
  it('pauses for a time, or for as long as the service chooses', async () => {
    await using service = await answering('pause', session, 'one%20two')
    const words = ['sessions', 'pause', 'one two', '--url', service.url]
    expect(await prefixd([...words, '--for', '20m'])).toMatchObject({
      exit: 0,
      out: 'one two: 1,033 tokens stay in ram for 20m\n',
    })
    await prefixd(words)
    expect(service.requests).toEqual([
      { line: 'POST /v1/sessions/one%20two/pause', body: { eta_seconds: 1200 } },
      { line: 'POST /v1/sessions/one%20two/pause', body: {} },
    ])
  })

  it.each([
    [{ tokens: null, tiers: [] }, 'its prefix is not stored any more'],
    [{ kept_in_ram_until_ms: null }, '1,033 tokens, which find no room to be kept in ram'],
  ])('says what a pause could not keep: %j', async (more, words) => {
    await using service = await answering('pause', { ...session, ...more })
    const ran = await prefixd(['sessions', 'pause', '7be1', '--url', service.url])
    expect(ran.out).toBe(`7be1: ${words}\n`)
  })

  it('resumes, and says what came from the SSD', async () => {
    await using service = await answering('resume', { ...session, read_bytes: 23 * mebibyte })
    const ran = await prefixd(['sessions', 'resume', '7be1', '--url', service.url])
    expect(ran.out).toBe('7be1: 23 MiB read from the ssd; 1,033 tokens stay in ram for 20m\n')
  })

  it('forks', async () => {
    await using service = await answering('fork', { ...session, id: 'b', forked_from: '7be1' })
    const ran = await prefixd(['sessions', 'fork', '7be1', 'b', '--url', service.url])
    expect(ran.out).toBe('b goes on from 7be1: 1,033 tokens\n')
    expect(service.requests).toEqual([
      { line: 'POST /v1/sessions/7be1/fork', body: { new_id: 'b' } },
    ])
  })

  it.each([
    [[], false, '23 MiB of ram and 24 MiB of ssd go first when room is needed'],
    [['--evict'], true, '2 MiB of ram and 0 B of ssd are free'],
  ])('ends with %j', async (flags, evict, words) => {
    await using service = await answering('end', ended)
    const ran = await prefixd(['sessions', 'end', '7be1', ...flags, '--url', service.url])
    expect(ran).toMatchObject({ exit: 0, out: `7be1 has ended: ${words}\n` })
    expect(service.requests).toEqual([{ line: 'POST /v1/sessions/7be1/end', body: { evict } }])
  })

  it('ends with exit code 4 where nobody knows the id', async () => {
    await using service = await startFixtureService({
      '/v1/sessions/x/end': refusal('PREFIXD_E_SESSION_NOT_FOUND', 'No session of this id.'),
    })
    const ran = await prefixd(['sessions', 'end', 'x', '--url', service.url])
    expect(ran).toMatchObject({ exit: 4, out: '' })
    expect(ran.err).toContain('No session of this id.')
  })
})
