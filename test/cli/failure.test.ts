import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { adviceHeader } from '../../src/errors.ts'
import { refusal, startFixtureService } from './fixture-service.ts'
import { prefixd } from './run.ts'

/** A port where nobody listens: it was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('a service that is not there', () => {
  it('is said in two lines, with exit code 7', async () => {
    const url = `http://127.0.0.1:${await closedPort()}`
    const ran = await prefixd(['ps', '--url', url])
    expect(ran).toMatchObject({
      exit: 7,
      out: '',
      err:
        `error  prefixd is not running at ${url}\n` +
        'try    start it with `prefixd serve`, or name another address with --url\n',
    })
  })

  it('says so too when it takes the call and never answers', async () => {
    const ran = await prefixd(['ps', '--url', 'http://127.0.0.1:1'], {
      fetch: async (_url, { signal }) => {
        expect(signal).toBeInstanceOf(AbortSignal)
        throw new TypeError('fetch failed', { cause: { code: 'ETIMEDOUT' } })
      },
    })
    expect(ran.exit).toBe(7)
    expect(ran.err).toMatch(/not running at http:\/\/127\.0\.0\.1:1/)
  })

  it('is told from another server on that port', async () => {
    await using service = await startFixtureService({
      '/v1/workers': { status: 502, body: '<html>bad gateway</html>' },
    })
    const ran = await prefixd(['ps', '--url', service.url])
    expect(ran.exit).toBe(7)
    expect(ran.err).toContain('answered 502, but not as prefixd does')
  })

  it('is told from a server that answers anything with a page', async () => {
    await using service = await startFixtureService({
      '/v1/workers': { status: 200, body: '<html>hello</html>' },
    })
    const ran = await prefixd(['ps', '--url', service.url])
    expect(ran).toMatchObject({ exit: 7 })
    expect(ran.err).toContain('did not answer in JSON')
  })
})

describe('what the service refuses', () => {
  it('keeps its words and gets the exit code of its error', async () => {
    await using service = await startFixtureService({
      '/v1/cache/prefixes/abcd': refusal(
        'PREFIXD_E_PREFIX_NOT_FOUND',
        'No prefix begins with "abcd".',
        'See the ids with `prefixd ls`.',
      ),
    })
    const ran = await prefixd(['inspect', 'abcd', '--url', service.url])
    expect(ran).toMatchObject({
      exit: 4,
      out: '',
      err: 'error  No prefix begins with "abcd".\ntry    See the ids with `prefixd ls`.\n',
    })
  })

  it.each([
    ['without advice', 'No.', {}, 'error  No.\n'],
    ['with advice that is not its own', 'No.', { [adviceHeader]: 'Yes.' }, 'error  No.\n'],
    ['with advice that cannot be read', 'No. %', { [adviceHeader]: '%' }, 'error  No. %\n'],
  ])('is shown as it is %s', async (_, message, headers, err) => {
    const answer = refusal('PREFIXD_E_INTERNAL', message)
    await using service = await startFixtureService({
      '/v1/workers': { ...answer, headers: { ...answer.headers, ...headers } },
    })
    expect((await prefixd(['ps', '--url', service.url])).err).toBe(err)
  })

  it('is escaped: a message cannot move the cursor', async () => {
    await using service = await startFixtureService({
      '/v1/workers': refusal('PREFIXD_E_INTERNAL', 'broken\u001b[2J'),
    })
    const ran = await prefixd(['ps', '--url', service.url])
    expect(ran.exit).toBe(1)
    expect(ran.err).toContain('broken\\x1b[2J')
  })

  it('for want of a key names the variable that the command line reads', async () => {
    await using service = await startFixtureService({
      '/v1/workers': refusal('PREFIXD_E_API_KEY', 'This service wants an API key.'),
    })
    const ran = await prefixd(['ps', '--url', service.url])
    expect(ran).toMatchObject({ exit: 2, err: expect.stringContaining('set PREFIXD_API_KEY to') })
  })

  it('shows no stack, unless PREFIXD_DEBUG asks for it', async () => {
    const failing = { fetch: async () => ({ ok: true }) as Response }
    const quiet = await prefixd(['ps', '--url', 'http://x'], failing)
    const debug = await prefixd(['ps', '--url', 'http://x'], {
      ...failing,
      env: { PREFIXD_DEBUG: '1' },
    })
    expect(quiet.err).not.toMatch(/\n\s+at /)
    expect(debug.err).toMatch(/\n\s+at /)
  })
})

describe('a command line that cannot be obeyed', () => {
  const cases: readonly (readonly [words: string[], error: RegExp])[] = [
    [['lst'], /"lst" is no command; did you mean ls\?/],
    [['models', 'pul'], /"pul" is no command of prefixd models; did you mean pull/],
    [['ls', '--foo'], /there is no flag --foo$/],
    [['evict', '--older-thn', '7d'], /did you mean --older-than\?/],
    [['ls', '--limt', '3'], /there is no flag --limt; did you mean --limit\?/],
    [['ls', '--limit', 'many'], /--limit cannot be "many": it must be a whole number from 1/],
    [['ls', '--limit'], /--limit needs a value/],
    [['models', 'convert', 'tiny', '--to'], /--to needs a value/],
    [['models', 'convert', 'tiny'], /--to is missing/],
    [['ls', '--tier', 'disk'], /--tier cannot be "disk"; allowed: ram, ssd/],
    [['ls', 'extra'], /"extra" is one argument too many/],
    [['inspect'], /<id> is missing/],
    [
      ['evict', '--older-than', 'soon', '--yes'],
      /--older-than cannot be "soon": it must be an age/,
    ],
    [['pin', '9f2c', '--ttl', '400d'], /--ttl cannot be "400d": it must be 366d at most/],
    [['sessions', 'pause', 'a', '--for', '3d'], /--for cannot be "3d": it must be 1d at most/],
    [['evict'], /say what to evict: ids, --model, .*, --older-than, --tier or --all/],
    [['evict', '--all', '--tier', 'ram'], /choose in one way only/],
    [['ps', '--url', 'ftp://x'], /--url cannot be "ftp:\/\/x": it must be an http address/],
    [['serve', '--prot', '80'], /there is no flag --prot; did you mean --port/],
    [['serve', '--port', 'eighty'], /port must be a whole number from 0 to 65535/],
    [['config', '--block-tokens', '100'], /block-tokens must be .*multiple of 16/],
  ]
  for (const [words, error] of cases) {
    it(`is explained, with exit code 2: prefixd ${words.join(' ')}`, async () => {
      const ran = await prefixd(words)
      expect(ran).toMatchObject({ exit: 2, out: '' })
      const [first, second, ...more] = ran.err.trimEnd().split('\n')
      expect(first).toMatch(/^error {2}/)
      expect(first).toMatch(error)
      expect(second).toMatch(/^try {4}\S/)
      expect(more).toEqual([])
    })
  }

  it('names PREFIXD_URL when that is what is wrong', async () => {
    const ran = await prefixd(['ps'], { env: { PREFIXD_URL: 'nonsense://x' } })
    expect(ran.exit).toBe(2)
    expect(ran.err).toContain('PREFIXD_URL cannot be "nonsense://x"')
  })
})

describe('the address of the service', () => {
  const asked = async (words: string[], env: Record<string, string>) => {
    let url = ''
    await prefixd(['ps', ...words], {
      env,
      fetch: async (target) => {
        url = target.href
        return Response.json({ object: 'list', data: [] })
      },
    })
    return url
  }

  it('is the one of the configuration', async () => {
    expect(await asked([], {})).toBe('http://127.0.0.1:8787/v1/workers')
    expect(await asked([], { PREFIXD_PORT: '9000' })).toBe('http://127.0.0.1:9000/v1/workers')
  })

  it('is PREFIXD_URL before the configuration, and --url before both', async () => {
    const env = { PREFIXD_PORT: '9000', PREFIXD_URL: 'http://example.test:1' }
    expect(await asked([], env)).toBe('http://example.test:1/v1/workers')
    expect(await asked(['--url', 'localhost:2'], env)).toBe('http://localhost:2/v1/workers')
  })

  it('may be the one that OpenAI clients use', async () => {
    expect(await asked(['--url', 'http://h:2/v1/'], {})).toBe('http://h:2/v1/workers')
  })

  it('is this machine where the service listens on all addresses', async () => {
    const env = { PREFIXD_HOST: '0.0.0.0', PREFIXD_INSECURE: 'true' }
    expect(await asked([], env)).toBe('http://127.0.0.1:8787/v1/workers')
    expect(await asked([], { PREFIXD_HOST: '::1' })).toBe('http://[::1]:8787/v1/workers')
  })
})
