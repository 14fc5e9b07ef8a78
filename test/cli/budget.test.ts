import { describe, expect, it } from 'vitest'
import { refusal, startFixtureService } from './fixture-service.ts'
import { tooManyPins } from './pins-fixture.ts'
import { prefixd } from './run.ts'

describe('prefixd budget', () => {
  it('asks for the sizes that were named, and for nothing where none was', async () => {
    await using service = await startFixtureService()
    const at = ['--url', service.url]
    await prefixd(['budget', ...at])
    await prefixd(['budget', '--ram', '2GiB', '--ssd', '500MB', ...at])
    await prefixd(['budget', '--ssd-writes-per-day', '0', ...at])
    await prefixd(['budget', '--share', 'tenant:*=10%', '--share', 'model:a=1GiB/2GiB', ...at])
    await prefixd(['budget', '--share', 'none', ...at])
    expect(service.requests).toEqual([
      { line: 'GET /v1/cache/budgets', body: null },
      { line: 'PATCH /v1/cache/budgets', body: { ram_bytes: 2 ** 31, ssd_bytes: 500_000_000 } },
      { line: 'GET /v1/cache/pins', body: null },
      { line: 'PATCH /v1/cache/budgets', body: { ssd_writes_per_day_bytes: null } },
      {
        line: 'PATCH /v1/cache/budgets',
        body: { shares: ['tenant:*=10%', 'model:a=1GiB/2GiB'] },
      },
      { line: 'PATCH /v1/cache/budgets', body: { shares: [] } },
    ])
  })

  it('says at once that a tier has become too small for what is pinned', async () => {
    await using service = await startFixtureService({
      '/v1/cache/pins': { status: 200, body: tooManyPins },
    })
    const ran = await prefixd(['budget', '--ssd', '64MiB', '--url', service.url], { width: 300 })
    expect(ran.out).toContain(
      '44 MiB of the ssd are kept, and 32 MiB, half of it, is the most. What is pinned stays ' +
        'while prefixd runs; a start with a tier of this size has no room for those that were ' +
        'pinned last. Unpin some, or give the tier more: prefixd budget --ssd SIZE\n',
    )
  })

  it('names the settings that keep a change over a restart, as a config file takes them', async () => {
    await using service = await startFixtureService()
    const { out } = await prefixd(['budget', '--url', service.url])
    expect(out).toContain('  ram = "8GiB"\n  ssd-writes-per-day = "0"\n')
    expect(out).not.toContain('  ssd = ')
  })

  it('names the shares that were given, as a config file takes them', async () => {
    await using service = await startFixtureService()
    const at = ['--url', service.url]
    const two = ['--share', 'model:a=10%', '--share', 'tenant:*=1GiB/2GiB']
    const given = await prefixd(['budget', ...two, ...at])
    expect(given.out).toMatch(
      /\n\nuntil .*\n.*\n.*\n {2}share = \["model:a=10%", "tenant:\*=1GiB\/2GiB"\]\n$/,
    )
    const none = await prefixd(['budget', '--share', 'none', ...at])
    expect(none.out).toMatch(/ {2}share = \["none"\]\n$/)
  })

  it('refuses what is no share in words of the command line', async () => {
    const ran = await prefixd(['budget', '--share', 'nope=1'])
    expect(ran).toMatchObject({ exit: 2, out: '' })
    expect(ran.err).toMatch(/--share cannot be "nope=1": it must be .*; or none, which lifts all/)
  })

  it('ends with the service’s own words where it refuses', async () => {
    await using service = await startFixtureService({
      '/v1/cache/budgets': refusal('PREFIXD_E_INVALID_VALUE', 'The RAM tier takes 1 to 2 bytes.'),
    })
    const ran = await prefixd(['budget', '--ram', '2GiB', '--url', service.url])
    expect(ran).toMatchObject({ exit: 2, out: '' })
    expect(ran.err).toContain('The RAM tier takes 1 to 2 bytes.')
  })

  it('wants sizes that are some', async () => {
    expect(await prefixd(['budget', '--ssd', 'much'])).toMatchObject({ exit: 2 })
  })
})
