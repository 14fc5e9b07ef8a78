import { describe, expect, it } from 'vitest'
import { budgetsFixture } from './budgets-fixture.ts'
import {
  detailFixture,
  prefixFixtures,
  startFixtureService,
  statsFixture,
} from './fixture-service.ts'
import { prefixd } from './run.ts'

const listings = [
  ['stats'],
  ['stats', '--since', '7d'],
  ['ps'],
  ['ls', '--limit', '4'],
  ['inspect', '9f2c'],
  ['inspect', '9f2c', '--blocks'],
  ['why'],
  ['advise'],
  ['evict', '--older-than', '7d', '--yes'],
  ['pin'],
  ['pin', '9f2c', '--ttl', '7d'],
  ['unpin', '9f2c'],
  ['budget'],
] as const

for (const words of listings) {
  const command = words.join(' ')
  const file = `golden/${words.join('-').replaceAll('--', '')}`

  for (const width of [80, 120]) {
    it(`prints "${command}" within ${width} columns`, async () => {
      await using service = await startFixtureService()
      const ran = await prefixd([...words, '--url', service.url], { width })
      await expect(ran.out).toMatchFileSnapshot(`${file}.${width}.txt`)
      expect(ran).toMatchObject({ exit: 0, err: '' })
      expect(Math.max(...ran.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width)
    })
  }

  it(`prints "${command} --json" as the service said it`, async () => {
    await using service = await startFixtureService()
    const ran = await prefixd([...words, '--url', service.url, '--json'])
    await expect(ran.out).toMatchFileSnapshot(`${file}.json.txt`)
    expect(JSON.parse(ran.out)).toBeTypeOf('object')
    expect(ran).toMatchObject({ exit: 0, err: '' })
  })
}

it('shows whole values and every column where there is no terminal', async () => {
  await using service = await startFixtureService()
  const ran = await prefixd(['ls', '--url', service.url])
  expect(ran.out.split('\n')[0]?.split(/ {2,}/)).toEqual([
    'PREFIX',
    'MODEL',
    'TOKENS',
    'SIZE',
    'UNIQUE',
    'TIER',
    'HITS',
    'LAST USED',
    'KEEPS',
  ])
})

it('stats of several models have a line for each', async () => {
  const [one] = statsFixture.models
  const requests = { total: 0, hit: 0, partial: 0, miss: 0, bypass: 0, failed: 0 }
  const rates = {
    prefill_tokens_per_second: null,
    restore_bytes_per_second: { ram: null, ssd: null },
  }
  const other = { ...one, model: 'qwen3-0.6b', requests, rates }
  const body = { ...statsFixture, models: [one, other] }
  await using service = await startFixtureService({ '/v1/cache/stats': { status: 200, body } })
  const { out } = await prefixd(['stats', '--url', service.url], { width: 100 })
  expect(out).not.toContain('prefill speed')
  expect(out).toContain(
    [
      'MODEL          REQUESTS   PROMPT   CACHED          PREFILL     FROM RAM     FROM SSD',
      'smollm2-135m      4,120    71.3M    82.9%   1,430 tokens/s   9.10 GiB/s   1.40 GiB/s',
      'qwen3-0.6b            0    71.3M    82.9%                -            -            -',
    ].join('\n'),
  )
})

it('stats list what each share allows and what is used of it', async () => {
  const body = { ...statsFixture, shares: budgetsFixture.shares }
  await using service = await startFixtureService({ '/v1/cache/stats': { status: 200, body } })
  const { out } = await prefixd(['stats', '--url', service.url], { width: 100 })
  expect(out).toContain(
    [
      'SHARE                      RAM                SSD',
      'tenant:ci   819 MiB of 819 MiB   12 GiB of 20 GiB',
    ].join('\n'),
  )
})

it('stats send to the disk for what the disk refused, and to the budget for a share', async () => {
  const body = { ...statsFixture, failed_writes: 1, refused_writes: 2 }
  await using service = await startFixtureService({ '/v1/cache/stats': { status: 200, body } })
  const { out } = await prefixd(['stats', '--url', service.url], { width: 200 })
  expect(out).toContain('1 write to the ssd failed. Check the free space of the directory.\n')
  expect(out).toContain('2 records found no room on the ssd: a share or the tier is used up')
})

it('stats say with how much free space the tier goes on', async () => {
  const mebibyte = 1024 ** 2
  const free = { free_bytes: 1020 * mebibyte, resumes_at_bytes: 1028 * mebibyte }
  const body = { ...statsFixture, ssd_disk: { state: 'no_growth', ...free } }
  await using service = await startFixtureService({ '/v1/cache/stats': { status: 200, body } })
  const { out } = await prefixd(['stats', '--url', service.url], { width: 200 })
  expect(out).toContain(
    'The file system has 1,020 MiB free. The ssd tier grows no further. ' +
      'It goes on by itself with 1,028 MiB.',
  )
})

describe('of prefixes that rows alone do not restore', () => {
  const [whole, ...others] = prefixFixtures.slice(0, 3)
  const cutBack = others.map((prefix, at) => ({ ...prefix, restorable_tokens: at * 8192 }))
  const page = { object: 'list', data: [whole, ...cutBack], total: 3, next_cursor: null }

  it('ls says up to where each restores, and that some restore nothing', async () => {
    await using service = await startFixtureService({
      '/v1/cache/prefixes': { status: 200, body: page },
    })
    const { out } = await prefixd(['ls', '--url', service.url], { width: 120 })
    const cells = out.split('\n').map((line) => line.split(/ {2,}/))
    const at = cells[0]?.indexOf('RESTORES') ?? -1
    expect(cells.slice(1, 4).map((line) => line[at])).toEqual(['31,488', '0', '8,192'])
    expect(out).toContain('1 prefix has lost every window or state to go on from')
  })

  it.each([
    [31_488, 'ram+ssd'],
    [1792, 'ram, ssd to 1,792'],
    [0, 'ram'],
  ])('ls says that the SSD alone restores %i tokens', async (durable, cell) => {
    await using service = await startFixtureService({
      '/v1/cache/prefixes': {
        status: 200,
        body: { ...page, data: [{ ...whole, durable_tokens: durable }] },
      },
    })
    const { out } = await prefixd(['ls', '--url', service.url], { width: 120 })
    expect(out.split('\n')[1]?.split(/ {2,}/)).toContain(cell)
  })

  it.each([
    [1024, 'restart    keeps 1,024 tokens: more of it needs what is in RAM only'],
    [0, 'restart    keeps nothing of this: the SSD does not have all that restoring needs'],
  ])('inspect says that a restart keeps %i tokens', async (durable, line) => {
    await using service = await startFixtureService({
      '/v1/cache/prefixes/9f2c': {
        status: 200,
        body: { ...detailFixture, durable_tokens: durable },
      },
    })
    const { out } = await prefixd(['inspect', '9f2c', '--url', service.url])
    expect(out.split('\n')).toContain(line)
  })

  it.each([
    [1024, 'restores   1,024 tokens: the last window or state to go on from is there'],
    [0, 'restores   nothing: every window or state to go on from has gone'],
  ])('inspect says that %i tokens are restored', async (restorable, line) => {
    await using service = await startFixtureService({
      '/v1/cache/prefixes/9f2c': {
        status: 200,
        body: { ...detailFixture, restorable_tokens: restorable },
      },
    })
    const { out } = await prefixd(['inspect', '9f2c', '--url', service.url])
    expect(out.split('\n')).toContain(line)
  })

  it.each([
    [{ pinned: true, reclaimable_bytes: 0 }, 'nothing: it is pinned.'],
    [{ leased: true, reclaimable_bytes: 0 }, 'nothing: it is in use.'],
    [{ reclaimable_bytes: 4e9 }, '3.73 GiB, with what goes on behind it.'],
  ])('inspect says of %j what evicting frees', async (changes, words) => {
    await using service = await startFixtureService({
      '/v1/cache/prefixes/9f2c': { status: 200, body: { ...detailFixture, ...changes } },
    })
    const { out } = await prefixd(['inspect', '9f2c', '--url', service.url])
    expect(out.split('\n')).toContain(`Evicting this frees ${words}`)
  })

  it('inspect says what is stored of a model that keeps states alone', async () => {
    const [block] = detailFixture.blocks
    const blocks = [
      { ...block, kinds: [] },
      { ...block, kinds: ['state'] },
    ]
    await using service = await startFixtureService({
      '/v1/cache/prefixes/9f2c': { status: 200, body: { ...detailFixture, blocks } },
    })
    const { out } = await prefixd(['inspect', '9f2c', '--url', service.url], { width: 160 })
    const rows = out.split('\n').map((line) => line.trimEnd())
    const header = rows.findIndex((line) => line.endsWith('KINDS'))
    expect(rows.slice(header + 1, header + 3)).toEqual([
      expect.stringMatching(/ -$/),
      expect.stringMatching(/ state$/),
    ])
  })
})

it.each([
  [
    [],
    0,
    ['keeps      until its room is needed', 'weight     may lie idle 1.00 times as long as others'],
  ],
  [
    [{ reason: 'request', prefix: '9f2c41d07ab3', until_ms: null }],
    1,
    [
      'keeps      in use now',
      'weight     may lie idle 1.00 times as long as others; 1 request used it lately',
    ],
  ],
])('inspect says who keeps a prefix: %j', async (because, uses, lines) => {
  const body = { ...detailFixture, kept_because: because, recent_uses: uses, idle_weight: 1 }
  await using service = await startFixtureService({
    '/v1/cache/prefixes/9f2c': { status: 200, body },
  })
  const { out } = await prefixd(['inspect', '9f2c', '--url', service.url])
  expect(out.split('\n').filter((line) => /^(keeps|weight) /.test(line))).toEqual(lines)
})

it('writes out what a hostile name would do to the terminal', async () => {
  await using service = await startFixtureService()
  const ran = await prefixd(['ls', '--url', service.url], { width: 120, color: true })
  expect(ran.out).toContain('gemma\\x1b[2J-4\\u202e-12b')
  expect(ran.out).not.toContain('\u001b[2J')
  expect(ran.out).not.toContain('\u202e')
})

it('colours only where the terminal does', async () => {
  await using service = await startFixtureService()
  const words = ['ls', '--url', service.url]
  const plain = await prefixd(words, { width: 80 })
  const coloured = await prefixd(words, { width: 80, color: true })
  expect(plain.out).not.toContain('\u001b')
  expect(coloured.out).toContain('\u001b[1m')
})
