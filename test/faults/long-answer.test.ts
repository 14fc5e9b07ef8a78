import { expect, it } from 'vitest'
import { createServiceFolder, fakeFlags } from '../support/start-service.ts'

const messages = [{ role: 'user', content: 'count up to a million' }]
const endless = { messages, ignore_eos: true, stream: false }

interface Reply {
  readonly usage: { readonly completion_tokens: number }
  readonly choices: readonly { readonly finish_reason: string }[]
}

it('ends an answer at --max-answer-tokens, whatever was asked for, and says so', async () => {
  const folder = createServiceFolder()
  const service = await folder.start({ ...fakeFlags, 'max-answer-tokens': '20' })
  const answer = async (fields: object): Promise<Reply> =>
    (await service.post('/v1/chat/completions', { ...endless, ...fields })).json() as Promise<Reply>
  for (const fields of [{}, { max_tokens: 32_000 }, { max_completion_tokens: 21 }]) {
    expect(await answer(fields)).toMatchObject({
      usage: { completion_tokens: 20 },
      choices: [{ finish_reason: 'length' }],
    })
  }
  expect((await answer({ max_tokens: 7 })).usage.completion_tokens).toBe(7)
  expect((await answer({ max_tokens: 0 })).usage.completion_tokens).toBe(0)
  await service.stop()
})
