/** One contract for all client libraries: what their programs see of the service. */
import { tmpdir } from 'node:os'
import { Compile } from 'typebox/schema'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EngineError } from '../../engines/errors.ts'
import { owner } from '../../src/api/auth/caller.ts'
import { failing, scriptedService } from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'
import {
  createServiceFolder,
  fakeFlags,
  type TestService,
  until,
} from '../support/start-service.ts'
import {
  type ClientLibrary,
  cityJsonSchema,
  type DialogueOptions,
  weather,
} from './libraries/client-library.ts'

/** So slow that a client can leave in the middle of a prompt, and of an answer. */
const pace = { prefillTokensPerSecond: 8000, decodeTokensPerSecond: 1000 }

interface Workers {
  readonly data: readonly { readonly busy_sequences: number }[]
}
interface Stats {
  readonly blocks: number
}

/** Words that no other prompt begins with, so that nothing is cached of them. */
const longQuestion = (start: string, repeats: number): string =>
  `${start} ${'Say pong and tell why. '.repeat(repeats)}`

export function clientContract(name: string, library: ClientLibrary): void {
  describe(name, () => {
    const folder = createServiceFolder(tmpdir(), afterAll)
    let service: TestService
    beforeAll(async () => {
      service = await folder.start({ ...fakeFlags, ctx: '32768', ...library.flags }, pace)
    })
    const open = (options: Partial<DialogueOptions> = {}) =>
      library.open({ url: service.url, ...options })
    const idle = () =>
      until(
        async () => (await service.get('/v1/workers')) as Workers,
        ({ data }) => data[0]?.busy_sequences === 0,
      )

    test('a second turn finds the first one in the cache, by the library’s own figures', async () => {
      const dialogue = open()
      const first = await dialogue.say(longQuestion('Turns.', 20))
      expect(first.text).not.toBe('')
      expect(first.cachedTokens).toBe(0)
      expect(first.promptTokens).toBeGreaterThan(400)
      const second = await dialogue.say('And again.')
      expect(second.cachedTokens).toBeGreaterThanOrEqual(first.promptTokens + first.text.length - 2)
      expect(second.promptTokens).toBeGreaterThan(second.cachedTokens)
    })

    test('a stream is the same answer, piece by piece, with the same figures', async () => {
      const question = longQuestion('Streams.', 20)
      const whole = await open().say(question)
      let pieces = 0
      const onText = () => {
        pieces += 1
      }
      const streamed = await open().say(question, { stream: true, onText })
      expect(streamed.text).toBe(whole.text)
      expect(streamed.promptTokens).toBe(whole.promptTokens)
      expect(streamed.cachedTokens).toBe(whole.promptTokens - 1)
      expect(pieces).toBeGreaterThan(3)
    })

    test('a tool loop goes round, and its second prompt goes on where the first one ended', async () => {
      const loop = await open().loop('Call get_weather, please.')
      expect(loop.call).toEqual({ name: weather.name, city: expect.stringMatching(/^[a-z]{8}$/) })
      expect(loop.text).not.toBe('')
      expect(loop.answered.cachedTokens).toBeGreaterThanOrEqual(loop.asked.promptTokens - 1)
      expect(loop.answered.promptTokens).toBeGreaterThan(loop.asked.promptTokens)
    })

    test.each([false, true])(
      'reasoning stays apart from the answer (stream: %s)',
      async (stream) => {
        const dialogue = open()
        const first = await dialogue.say('Please think.', { stream })
        expect(first.text).not.toMatch(/think|^\s*$/)
        expect(first.reasoning).toMatch(library.readsReasoning ? /^[a-z]{24}$/ : /^$/)
        const second = await dialogue.say('Go on.')
        expect(second.cachedTokens).toBeGreaterThanOrEqual(first.promptTokens - 1)
      },
    )

    test('who leaves while the prompt is read frees the engine, and keeps what was computed', async () => {
      const question = longQuestion('Leaves early.', 300)
      const controller = new AbortController()
      const blocks = async () => ((await service.get('/v1/cache/stats')) as Stats).blocks
      const before = await blocks()
      const left = expect(open().say(question, controller)).rejects.toThrow()
      await until(blocks, (now) => now > before)
      controller.abort()
      await left
      await idle()
      const { cachedTokens, promptTokens } = await open().say(question)
      expect(cachedTokens).toBeGreaterThan(0)
      expect(cachedTokens).toBeLessThan(promptTokens - 1)
    })

    test('who leaves in the middle of an answer does, too', async () => {
      const question = longQuestion('Leaves late.', 20)
      const controller = new AbortController()
      const { signal } = controller
      const onText = () => controller.abort()
      const options = { stream: true, signal, onText }
      await expect(open().say(question, options)).rejects.toThrow()
      await idle()
      const { cachedTokens, promptTokens } = await open().say(question)
      expect(cachedTokens).toBe(promptTokens - 1)
    })

    test('an answer that must follow a schema does', async () => {
      const city = await open().structured('Which city has the longest name?')
      expect(cityJsonSchema).toMatchObject({ required: Object.keys(city as object) })
      expect(Compile(cityJsonSchema).Check(city), JSON.stringify(city)).toBe(true)
    })

    test('what is wrong with a request is the library’s own error', async () => {
      const { badRequest, notFound } = library.isError
      expect(await failure(open({ model: 'nobody' }).say('hi'))).toSatisfy(notFound)
      const tooLong = await failure(open().say('x'.repeat(40_000)))
      expect(tooLong).toSatisfy(badRequest)
      expect(tooLong.message).toMatch(/32,?768/)
    })

    test('so are a wrong key and a full queue, which says when to come again', async () => {
      const keys = { identify: (key: string) => (key === 'good' ? owner : null) }
      const full = new EngineError('PREFIXD_E_ENGINE_QUEUE_FULL', 'The queue is full.')
      const { url } = await startApi(scriptedService(failing(full)), { keys })
      const { noKey, tooMany } = library.isError
      const unknown = library.open({ url, apiKey: 'bad' })
      expect(await failure(unknown.say('hi'))).toSatisfy(noKey)
      const known = library.open({ url, apiKey: 'good' })
      const refused = await failure(known.say('hi'))
      expect(refused).toSatisfy(tooMany)
      expect(retryAfterOf(refused)).toBe('1')
    })
  })
}

async function failure(asked: Promise<unknown>): Promise<Error> {
  const error = await asked.then(
    () => new Error('it was answered'),
    (thrown: Error) => thrown,
  )
  return error
}

/** Libraries keep the reply's headers, as `Headers` or as an object. */
function retryAfterOf(error: unknown): unknown {
  const { headers, responseHeaders } = error as Readonly<Record<string, unknown>>
  if (headers instanceof Headers) return headers.get('retry-after')
  return Object(headers ?? responseHeaders)['retry-after']
}
