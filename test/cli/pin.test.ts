import { describe, expect, it } from 'vitest'
import { refusal, startFixtureService } from './fixture-service.ts'
import { tooManyPins } from './pins-fixture.ts'
import { prefixd } from './run.ts'

describe('prefixd pin', () => {
  it('pins for a time, in seconds, or until it is unpinned', async () => {
    await using service = await startFixtureService()
    expect(await prefixd(['pin', '9f2c', '--ttl', '7d', '--url', service.url])).toMatchObject({
      exit: 0,
      out: 'pinned 9f2c41d07ab3 for 7d: 31,488 tokens, 2.46 GiB\n',
    })
    await prefixd(['pin', '9f2c', '--url', service.url])
    expect(service.requests).toEqual([
      { line: 'PUT /v1/cache/pins/9f2c', body: { ttl_seconds: 604_800 } },
      { line: 'PUT /v1/cache/pins/9f2c', body: { ttl_seconds: null } },
    ])
  })

  it('ends with exit code 3 where there is no room to pin more', async () => {
    await using service = await startFixtureService({
      '/v1/cache/pins/9f2c': refusal('PREFIXD_E_PIN_LIMIT', '3 MiB of the ssd are pinned.'),
    })
    const ran = await prefixd(['pin', '9f2c', '--url', service.url])
    expect(ran).toMatchObject({ exit: 3, out: '' })
    expect(ran.err).toContain('3 MiB of the ssd are pinned.')
  })

  it('lists with them what they keep beyond half of a tier, and what a start makes of it', async () => {
    await using service = await startFixtureService({
      '/v1/cache/pins': { status: 200, body: tooManyPins },
    })
    const { out } = await prefixd(['pin', '--url', service.url], { width: 80 })
    expect(out).toMatch(/44 MiB of 32 MiB on ssd\n\n44 MiB of the ssd are kept, and 32 MiB, half/)
    expect(out).not.toContain('of the ram are kept')
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('says nothing of an SSD tier where there is none', async () => {
    const [ram] = tooManyPins.tiers
    const tiers = [ram, { tier: 'ssd', kept_bytes: 0, most_bytes: 0 }]
    await using service = await startFixtureService({
      '/v1/cache/pins': { status: 200, body: { ...tooManyPins, data: [], tiers } },
    })
    expect((await prefixd(['pin', '--url', service.url])).out).toBe(
      "nothing is pinned\npins and clients' lifetimes keep 0 B of 32 MiB on ram\n",
    )
  })

  it('wants an id for a time, and a time that is one', async () => {
    expect(await prefixd(['pin', '--ttl', '7d'])).toMatchObject({
      exit: 2,
      err: expect.stringContaining('--ttl needs the id of a prefix'),
    })
    expect(await prefixd(['pin', '9f2c', '--ttl', 'soon'])).toMatchObject({ exit: 2 })
  })
})

it('prefixd unpin names what it has let go', async () => {
  await using service = await startFixtureService()
  const ran = await prefixd(['unpin', '9f2c', '--url', service.url])
  expect(ran).toMatchObject({ exit: 0, out: 'unpinned 9f2c41d07ab3: 31,488 tokens, 2.46 GiB\n' })
  expect(service.requests).toEqual([{ line: 'DELETE /v1/cache/pins/9f2c', body: null }])
})
