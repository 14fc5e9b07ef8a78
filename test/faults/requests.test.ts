import { expect, test } from 'vitest'
import { complete, completeCold, Refusal } from '../../bench/completions-client.ts'
import { createServiceFolder, fakeFlags, fakeTokens } from '../support/start-service.ts'

test('bad requests are typed errors that name the field, and change nothing for good ones', async () => {
  const service = await createServiceFolder().start({ ...fakeFlags, ctx: '2048' })
  const good = { tokens: fakeTokens(1, 1500), answerTokens: 8 }
  const { text } = await complete(service.url, good)

  const tooLong = { tokens: fakeTokens(1, 2049), answerTokens: 8 }
  const refused = await complete(service.url, tooLong).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(Refusal)
  expect(refused).toMatchObject({ status: 400, code: 'PREFIXD_E_CONTEXT_LENGTH' })
  expect((refused as Refusal).message).toMatch(/2049.*2048/)

  const wrong: readonly (readonly [body: unknown, code: string, param: string | null])[] = [
    ['{"prompt": [1, 2', 'PREFIXD_E_INVALID_JSON', null],
    ['', 'PREFIXD_E_INVALID_JSON', null],
    [{ prompt: { text: 'hi' } }, 'PREFIXD_E_INVALID_VALUE', 'prompt'],
    [{ prompt: [1, -2, 3] }, 'PREFIXD_E_INVALID_VALUE', 'prompt'],
    [{ prompt: 'hi', max_tokens: 'many' }, 'PREFIXD_E_INVALID_VALUE', 'max_tokens'],
    [{ prompt: 'hi', temperature: 'hot' }, 'PREFIXD_E_INVALID_VALUE', 'temperature'],
    [{ prompt: 'hi', model: 'gpt-9' }, 'PREFIXD_E_MODEL_NOT_FOUND', 'model'],
  ]
  for (const [body, code, param] of wrong) {
    const reply = await service.post('/v1/completions', body)
    const { error } = (await reply.json()) as { error: { param: string | null; message: string } }
    expect(reply.status).toBeGreaterThanOrEqual(400)
    expect(reply.status).toBeLessThan(500)
    expect([reply.headers.get('x-prefixd-error'), error.param]).toEqual([code, param])
  }

  expect(await complete(service.url, good)).toMatchObject({ text, cachedTokens: 1499 })
  expect((await completeCold(service.url, good)).text).toBe(text)
})

test('token ids that the model does not have are a typed error, and the worker lives on', async () => {
  const service = await createServiceFolder().start()
  const alien = { tokens: Uint32Array.of(1, 2, 4_000_000_000), answerTokens: 2 }
  const refused = await complete(service.url, alien).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(Refusal)
  expect((refused as Refusal).status).toBe(400)
  expect(await service.get('/v1/workers')).toMatchObject({ data: [{ restarts: 0 }] })
})

test('what no frame to the worker holds, and unknown token ids, are errors of the client', async () => {
  const service = await createServiceFolder().start()
  const text = 'ab '.repeat(6_000_000)
  const message = { role: 'user', content: text }
  const cases: readonly (readonly [route: string, body: object, status: number])[] = [
    ['/v1/completions', { prompt: text }, 413],
    ['/v1/chat/completions', { messages: [message] }, 413],
    ['/v1/messages/count_tokens', { messages: [message] }, 413],
    ['/detokenize', { tokens: [1, 4_000_000_000] }, 400],
  ]
  for (const [route, body, status] of cases) {
    expect([route, (await service.post(route, body)).status]).toEqual([route, status])
  }
  expect(await service.get('/v1/workers')).toMatchObject({ data: [{ restarts: 0 }] })
})
