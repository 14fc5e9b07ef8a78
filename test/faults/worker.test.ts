import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { complete, completeCold } from '../../bench/completions-client.ts'
import {
  createServiceFolder,
  fakeFlags,
  fakeTokens,
  realFlags,
  type TestService,
  until,
} from '../support/start-service.ts'
import {
  expectRestarted,
  expectRetryAdvice,
  storedBlocks,
  workerOf,
} from '../support/worker-death.ts'

const blockTokens = 256

test('a worker killed with -9 in a prefill is a 503 that says to retry; its blocks are kept', async () => {
  // The third block is never done, so that the kill comes in the middle of it.
  const service = await createServiceFolder().start(fakeFlags, {
    hangAtToken: 2 * blockTokens + 80,
    // A block is exported when its room is granted, which an engine that takes no time outruns.
    prefillTokensPerSecond: 1000,
  })
  const long = { tokens: fakeTokens(1, 4 * blockTokens), answerTokens: 4 }
  const answer = complete(service.url, long).catch((error: unknown) => error)
  await until(
    () => storedBlocks(service),
    (blocks) => blocks >= 1,
  )
  const killed = await workerOf(service)
  process.kill(killed.pid, 'SIGKILL')

  expectRetryAdvice(await answer)

  const short = { tokens: fakeTokens(1, 2 * blockTokens + 50), answerTokens: 4 }
  // The block before the one that hung may have waited for it.
  const kept = await storedBlocks(service)
  const next = await complete(service.url, short)
  expect(next.cachedTokens).toBe(kept * blockTokens)
  expect(next.text).toBe((await completeCold(service.url, short)).text)
  await expectRestarted(service, killed.pid)
})

/** A streamed completion that is cut when `isEnough` of its text has come. */
async function cutStream(
  service: TestService,
  tokens: Uint32Array,
  isEnough: (frames: number) => boolean,
): Promise<void> {
  const request = httpRequest(`${service.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  })
  request.on('error', () => {})
  request.end(
    JSON.stringify({
      prompt: [...tokens],
      max_tokens: 600,
      temperature: 0,
      stream: true,
      ignore_eos: true,
    }),
  )
  const [reply] = (await once(request, 'response')) as [IncomingMessage]
  let frames = 0
  reply.on('error', () => {})
  for await (const chunk of reply.setEncoding('utf8')) {
    frames += String(chunk).split('data: ').length - 1
    if (isEnough(frames)) break
  }
  request.destroy()
}

test('a client that leaves a stream of the real model stops the decode, and its tokens are kept', async () => {
  const service = await createServiceFolder().start(realFlags())
  const tokens = Uint32Array.from({ length: 300 }, (_, at) => 1000 + ((at * 7919) % 40_000))
  await cutStream(service, tokens, (frames) => frames >= 3)
  await until(
    () => workerOf(service),
    (now) => now.busy_sequences === 0,
  )
  expect(await workerOf(service)).toMatchObject({ state: 'ready', restarts: 0 })
  // Everything that was computed is stored: the prompt, and no more of the answer than it was sent.
  const stored = (await service.get('/v1/cache/prefixes')) as { data: { tokens: number }[] }
  const storedTokens = Math.max(...stored.data.map((prefix) => prefix.tokens))
  expect(storedTokens).toBeGreaterThanOrEqual(300)
  expect(storedTokens).toBeLessThan(300 + 100)
  const next = await complete(service.url, { tokens, answerTokens: 2 })
  expect(next.cachedTokens).toBe(299)
})

test('a client that leaves in the prefill keeps whole blocks for the next request', async () => {
  const service = await createServiceFolder().start(fakeFlags, {
    hangAtToken: 2 * blockTokens + 80,
    prefillTokensPerSecond: 1000,
  })
  const long = { tokens: fakeTokens(3, 4 * blockTokens), answerTokens: 4 }
  const client = new AbortController()
  const answer = complete(service.url, { ...long, signal: client.signal }).catch(() => 'gone')
  await until(
    () => storedBlocks(service),
    (blocks) => blocks >= 1,
  )
  client.abort()
  expect(await answer).toBe('gone')
  await until(
    () => workerOf(service),
    (now) => now.busy_sequences === 0,
  )
  expect(await workerOf(service)).toMatchObject({ state: 'ready', restarts: 0 })
  const short = { tokens: fakeTokens(3, 2 * blockTokens + 50), answerTokens: 4 }
  const kept = await storedBlocks(service)
  expect((await complete(service.url, short)).cachedTokens).toBe(kept * blockTokens)
})
