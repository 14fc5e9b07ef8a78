/** Vectors, with the SDK that OpenAI publishes: it asks for base64 by itself. */
import { join } from 'node:path'
import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { writeLlamaEmbedder } from '../support/embedding-model.ts'
import { createServiceFolder, fakeFlags, type TestService } from '../support/start-service.ts'

const clientOf = ({ url }: TestService): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'local', maxRetries: 0 })

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0)

const services = {
  'the fake engine': () => createServiceFolder().start(fakeFlags, { embeddings: true }),
  'a GGUF file with pooling': () => {
    const folder = createServiceFolder()
    const path = join(folder.path, 'embedder.gguf')
    writeLlamaEmbedder(path, 'mean')
    return folder.start({ model: path })
  },
}

describe.each(Object.entries(services))('%s', (_, start) => {
  test('gives the same vectors as base64 and as numbers, of length 1, and counts tokens', async () => {
    const service = await start()
    const client = clientOf(service)
    const { data: models } = await client.models.list()
    const model = models[0]?.id ?? ''
    const input = ['hello there', 'hello here', 'zzzz']
    const coded = await client.embeddings.create({ model, input })
    const plain = await client.embeddings.create({ model, input, encoding_format: 'float' })
    expect(plain.data.map(({ index }) => index)).toEqual([0, 1, 2])
    const vectors = plain.data.map(({ embedding }) => embedding)
    expect(coded.data.map(({ embedding }) => [...embedding])).toEqual(vectors)
    for (const vector of vectors) expect(dot(vector, vector)).toBeCloseTo(1, 5)
    const [one = [], near = [], far = []] = vectors
    expect(dot(one, near)).toBeGreaterThan(dot(one, far))
    expect(plain.model).toBe(model)

    const tokenize = await service.post('/tokenize', { content: 'zzzz', add_special: true })
    const { tokens } = (await tokenize.json()) as { tokens: number[] }
    const single = { model, encoding_format: 'float' } as const
    const ofTokens = await client.embeddings.create({ ...single, input: tokens })
    expect(ofTokens.data[0]?.embedding).toEqual(far)
    const count = tokens.length
    expect(ofTokens.usage).toEqual({ prompt_tokens: count, total_tokens: count })
    const twice = await client.embeddings.create({ ...single, input: [tokens, tokens] })
    expect(twice.usage.prompt_tokens).toBe(2 * count)
  })

  test('refuses what would be a lie by name, and goes on', async () => {
    const service = await start()
    const refusalOf = async (body: object) => {
      const reply = await service.post('/v1/embeddings', body)
      expect(reply.status).toBe(400)
      return ((await reply.json()) as { error: object }).error
    }
    expect(await refusalOf({ input: 'a', dimensions: 3 })).toMatchObject({
      param: 'dimensions',
      code: 'unsupported_parameter',
    })
    expect(await refusalOf({ input: ['a', ''] })).toMatchObject({ param: 'input' })
    expect(await refusalOf({ input: [[1], [999_999]] })).toMatchObject({ param: 'input[1][0]' })
    expect(await refusalOf({ input: ['a', 'a'.repeat(20_000)] })).toMatchObject({
      param: 'input[1]',
      code: 'context_length_exceeded',
    })
    expect(await refusalOf({ input: [] })).toMatchObject({ param: 'input' })
    expect((await service.post('/v1/embeddings', { input: 'a' })).status).toBe(200)
  })
})

test('a model that writes text answers 501 with the reason, which the SDK does not retry', async () => {
  const client = clientOf(await createServiceFolder().start())
  const asked = client.embeddings.create({ model: 'fake', input: 'hello' })
  await expect(asked).rejects.toMatchObject({
    status: 501,
    code: 'not_supported',
    message: expect.stringContaining('makes no vectors'),
  })
})

test('a model that makes vectors answers 501 where text is wanted, in every dialect', async () => {
  const service = await services['a GGUF file with pooling']()
  const messages = [{ role: 'user', content: 'hi' }]
  const bodies = {
    '/v1/chat/completions': { messages },
    '/v1/completions': { prompt: 'hi' },
    '/v1/messages': { messages, max_tokens: 4 },
    '/v1/messages/count_tokens': { messages },
    '/v1/responses': { input: 'hi' },
    '/apply-template': { messages },
  }
  for (const [path, body] of Object.entries(bodies)) {
    const reply = await service.post(path, body)
    expect(reply.status, path).toBe(501)
    expect(reply.headers.get('x-prefixd-error')).toBe('PREFIXD_E_NOT_SUPPORTED')
    expect(reply.headers.get('x-should-retry')).toBe('false')
  }
  expect(await service.get('/health')).toEqual({ status: 'ok' })
})
