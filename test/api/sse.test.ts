import { once } from 'node:events'
import { expect, test } from 'vitest'
import { dataFrame, doneFrame, type SseOptions, sseStream } from '../../src/api/sse.ts'

const options: SseOptions = {
  pingMs: 60_000,
  bufferBytes: 1024,
  stallMs: 60_000,
  pingFrame: () => ': ping\n\n',
  errorFrame: (error) => dataFrame({ error: (error as Error).message }),
  onStall: () => {},
}

async function textOf(frames: AsyncGenerator<string>, overrides: Partial<SseOptions> = {}) {
  let text = ''
  for await (const part of sseStream(frames, { ...options, ...overrides })) text += part
  return text
}

test('frames come out as they went in', async () => {
  const frames = (async function* () {
    yield dataFrame({ a: 'line\nbreak' })
    yield doneFrame
  })()
  expect(await textOf(frames)).toBe('data: {"a":"line\\nbreak"}\n\ndata: [DONE]\n\n')
})

test('without a reader no more is taken than the buffer holds', async () => {
  let taken = 0
  const frames = (async function* () {
    for (;;) {
      taken += 1
      yield 'x'.repeat(100)
    }
  })()
  const stream = sseStream(frames, options)
  await once(stream, 'readable')
  // Everything that can move without a reader has moved after a few turns of the loop.
  for (let turn = 0; turn < 1000; turn += 1) await new Promise(setImmediate)
  expect(taken).toBeLessThanOrEqual(12)
  expect(taken).toBeGreaterThanOrEqual(10)
  stream.destroy()
})

test('a stream that is destroyed ends its frames, so that what they hold is let go', async () => {
  const released = Promise.withResolvers<void>()
  const frames = (async function* () {
    try {
      for (;;) yield 'x'.repeat(100)
    } finally {
      released.resolve()
    }
  })()
  const stream = sseStream(frames, options)
  await once(stream, 'readable')
  stream.destroy()
  await released.promise
})

test('a failure becomes the last frame', async () => {
  const frames = (async function* () {
    yield dataFrame({ a: 1 })
    throw new Error('broken')
  })()
  expect(await textOf(frames)).toBe('data: {"a":1}\n\ndata: {"error":"broken"}\n\n')
})

test('a failure that nobody should hear of just ends the stream', async () => {
  const frames = (async function* () {
    yield dataFrame({ a: 1 })
    throw new Error('gone')
  })()
  expect(await textOf(frames, { errorFrame: () => null })).toBe('data: {"a":1}\n\n')
})

test('silence is filled with comments until the next frame', async () => {
  let pings = 0
  const release = Promise.withResolvers<void>()
  const frames = (async function* () {
    await release.promise
    yield doneFrame
  })()
  const pingFrame = () => {
    pings += 1
    if (pings === 3) release.resolve()
    return `: ping ${pings}\n\n`
  }
  const text = await textOf(frames, { pingMs: 1, pingFrame })
  expect(text.startsWith(': ping 1\n\n: ping 2\n\n: ping 3\n\n')).toBe(true)
  expect(text.endsWith(doneFrame)).toBe(true)
})
