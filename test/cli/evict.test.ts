import { describe, expect, it } from 'vitest'
import { evictFixture, refusal, startFixtureService } from './fixture-service.ts'
import { prefixd } from './run.ts'

const nothingEvicted = { ...evictFixture, blocks: 0, prefixes: 0, freed_bytes: { ram: 0, ssd: 0 } }

describe('prefixd evict', () => {
  it('shows on a terminal what would go, asks, and evicts after a yes', async () => {
    await using service = await startFixtureService()
    const ran = await prefixd(['evict', '9f2c', '51aa', '--url', service.url], { answer: 'y' })
    expect(ran).toMatchObject({ exit: 0, err: '' })
    expect(ran.questions).toEqual([
      'This frees 1.20 GiB of ram and 3.40 GiB of ssd: 12 prefixes, 480 blocks. ' +
        '2 blocks in use stay.\nEvict? [y/N] ',
    ])
    expect(service.requests.map(({ body }) => body)).toEqual([
      { ids: ['9f2c', '51aa'], dry_run: true },
      { ids: ['9f2c', '51aa'] },
    ])
    expect(ran.out).toMatch(/^freed 1\.20 GiB of ram/)
  })

  for (const answer of ['', 'n', 'nay', 'yesterday']) {
    it(`evicts nothing after "${answer}"`, async () => {
      await using service = await startFixtureService()
      const ran = await prefixd(['evict', '--all', '--url', service.url], { answer })
      expect(ran).toMatchObject({ exit: 0, out: '', err: 'nothing was evicted\n' })
      expect(service.requests.map(({ body }) => body)).toEqual([{ all: true, dry_run: true }])
    })
  }

  it('needs --yes where nobody can be asked', async () => {
    await using service = await startFixtureService()
    const ran = await prefixd(['evict', '--tier', 'ram', '--url', service.url])
    expect(ran).toMatchObject({ exit: 2, out: '' })
    expect(ran.err).toMatch(/try {4}add --yes to evict, or --dry-run to look only\n$/)
    expect(service.requests.map(({ body }) => body)).toEqual([{ tier: 'ram', dry_run: true }])
  })

  it('asks nobody with --yes, and sends nothing but the order', async () => {
    await using service = await startFixtureService()
    const words = ['evict', '--older-than', '7d', '--yes', '--url', service.url]
    expect(await prefixd(words)).toMatchObject({ exit: 0, questions: [] })
    expect(service.requests.map(({ body }) => body)).toEqual([{ older_than_ms: 604_800_000 }])
  })

  it('never evicts with --dry-run, --yes or not', async () => {
    await using service = await startFixtureService()
    const words = ['evict', '--model', 'm', '--dry-run', '--yes', '--url', service.url]
    const ran = await prefixd(words)
    expect(ran.out).toMatch(/^would free 1\.20 GiB of ram/)
    expect(service.requests.map(({ body }) => body)).toEqual([{ model: 'm', dry_run: true }])
  })

  it('ends with exit code 3 when everything that was chosen is in use', async () => {
    await using service = await startFixtureService({
      '/v1/cache/evict': { status: 200, body: { ...nothingEvicted, kept_blocks: 5 } },
    })
    const ran = await prefixd(['evict', '9f2c', '--yes', '--url', service.url])
    expect(ran.exit).toBe(3)
    expect(ran.err).toContain('nothing can be evicted: 5 blocks in use by requests')
  })

  it('leaves what is pinned, says so, and takes it with --force', async () => {
    await using service = await startFixtureService({
      '/v1/cache/evict': { status: 200, body: { ...evictFixture, pinned_blocks: 3 } },
    })
    const ran = await prefixd([
      'evict',
      '--session',
      's1',
      '--force',
      '--yes',
      '--url',
      service.url,
    ])
    expect(service.requests.map(({ body }) => body)).toEqual([{ session: 's1', force: true }])
    expect(ran.out).toMatch(/3 pinned blocks stay\.\n$/)
  })

  it('ends with exit code 3 when everything that was chosen is pinned', async () => {
    await using service = await startFixtureService({
      '/v1/cache/evict': {
        status: 200,
        body: { ...nothingEvicted, kept_blocks: 0, pinned_blocks: 5 },
      },
    })
    const ran = await prefixd(['evict', '9f2c', '--yes', '--url', service.url])
    expect(ran.exit).toBe(3)
    expect(ran.err).toContain('nothing can be evicted: 5 blocks pinned')
    expect(ran.err).toContain('add --force')
    expect(ran.out).toBe('')
  })

  it('speaks of one block as of one, and with --force of the pins that go', async () => {
    await using service = await startFixtureService({
      '/v1/cache/evict': {
        status: 200,
        body: { ...evictFixture, kept_blocks: 1, pinned_blocks: 1 },
      },
    })
    const words = ['evict', '--all', '--dry-run', '--url', service.url]
    const ran = await prefixd(words)
    expect(ran.out).toMatch(/480 blocks\. 1 block in use stays\. 1 pinned block stays\.\n$/)
    const forced = await prefixd([...words, '--force'])
    expect(forced.out).toMatch(/What is pinned goes too, and its pins with it\.\n$/)
  })

  it('keeps its report for scripts when nothing may go', async () => {
    const body = { ...nothingEvicted, kept_blocks: 5 }
    await using service = await startFixtureService({ '/v1/cache/evict': { status: 200, body } })
    const ran = await prefixd(['evict', '9f2c', '--yes', '--json', '--url', service.url])
    expect(ran.exit).toBe(3)
    expect(JSON.parse(ran.out)).toEqual(body)
  })

  it('chooses by session, tenant or namespace, and in one way only', async () => {
    await using service = await startFixtureService()
    for (const way of ['session', 'tenant', 'namespace']) {
      await prefixd(['evict', `--${way}`, 'x', '--yes', '--url', service.url])
    }
    expect(service.requests.map(({ body }) => body)).toEqual([
      { session: 'x' },
      { tenant: 'x' },
      { namespace: 'x' },
    ])
    const both = await prefixd(['evict', '--session', 'x', '--tenant', 'y', '--url', service.url])
    expect(both).toMatchObject({ exit: 2, err: expect.stringContaining('in one way only') })
  })

  it('ends with exit code 3 when the service refuses', async () => {
    await using service = await startFixtureService({
      '/v1/cache/evict': refusal('PREFIXD_E_PREFIX_IN_USE', 'Prefix 9f2c is in use.'),
    })
    const ran = await prefixd(['evict', '9f2c', '--yes', '--url', service.url])
    expect(ran).toMatchObject({ exit: 3, out: '' })
    expect(ran.err).toContain('Prefix 9f2c is in use.')
  })

  it('asks nothing when nothing matches', async () => {
    await using service = await startFixtureService({
      '/v1/cache/evict': { status: 200, body: { ...nothingEvicted, kept_blocks: 0 } },
    })
    const ran = await prefixd(['evict', '--all', '--url', service.url], { answer: 'y' })
    expect(ran).toMatchObject({
      exit: 0,
      out: 'Nothing that is stored matches.\n',
      questions: [],
    })
  })
})

describe('prefixd clear', () => {
  it('says with --dry-run what would go, as it advises where nobody can be asked', async () => {
    await using service = await startFixtureService()
    const unasked = await prefixd(['clear', '--url', service.url])
    expect(unasked).toMatchObject({ exit: 2, err: expect.stringContaining('or --dry-run') })
    const ran = await prefixd(['clear', '--dry-run', '--url', service.url])
    expect(ran).toMatchObject({ exit: 0, out: expect.stringMatching(/^would free /) })
    const looked = { all: true, dry_run: true }
    expect(service.requests.map(({ body }) => body)).toEqual([looked, looked])
  })
})
