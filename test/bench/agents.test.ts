import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Agent, jsonLines } from '../../bench/agents/agent.ts'
import { judgeAgent } from '../../bench/agents/claims.ts'
import { claudeCode } from '../../bench/agents/claude-code.ts'
import { codex } from '../../bench/agents/codex.ts'
import { opencode } from '../../bench/agents/opencode.ts'
import { playAgent } from '../../bench/agents/play.ts'
import { startRecorder } from '../../bench/agents/recorder.ts'
import { type Scratch, withScratch } from '../../bench/scratch-folder.ts'
import { createServiceFolder, fakeFlags, until } from '../support/start-service.ts'

const stub = fileURLToPath(new URL('../support/stub-agent.ts', import.meta.url))

/** What the harness asks of a real agent, answered by the stub. */
const stubOf = (agent: Agent, dialect: string): Agent => ({
  ...agent,
  counts: 'turn',
  prepare: () => {},
  env: () => ({}),
  words: ({ prompt, continues }, { url }) => [
    dialect,
    url,
    prompt,
    ...(continues ? ['continue'] : []),
  ],
  ownCachedTokens: (output) => {
    const cached = jsonLines(output).at(-1)?.cachedTokens
    return typeof cached === 'number' ? cached : null
  },
})

async function play(agent: Agent, flags: Readonly<Record<string, string>>) {
  const service = await createServiceFolder().start({ ...fakeFlags, ...flags })
  return withScratch(async (scratch) => {
    const run = await playAgent(agent, {
      scratch,
      recorder: await startRecorder(service.url, scratch),
      program: [process.execPath, stub],
      place: { model: 'fake', contextTokens: 16_384, answerTokens: 20 },
      progress: () => {},
    })
    return { run, claims: judgeAgent(run) }
  })
}

describe('the harness of npm run agents', () => {
  it.each([
    ['messages', claudeCode, 3],
    ['chat', opencode, 5],
    ['responses', codex, 3],
  ] as const)('plays two turns and a second session over %s', async (dialect, agent, count) => {
    const { run, claims } = await play(stubOf(agent, dialect), {
      ctx: '16384',
      'max-answer-tokens': '20',
    })
    expect(claims.filter(({ verdict }) => verdict !== 'pass')).toEqual([])
    expect(run.turns.flatMap(({ exchanges }) => exchanges)).toHaveLength(count)
    expect(run.turns.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
    expect(run.turns[0]?.exchanges.every(({ cachedTokens }) => cachedTokens < 100)).toBe(true)
  })

  it('fails what the agent says of itself when a prompt does not fit', async () => {
    const { run, claims } = await play(stubOf(codex, 'responses'), { ctx: '1024' })
    expect(run.turns[0]).toMatchObject({ exitCode: 1, exchanges: [{ status: 400 }] })
    expect(run.turns[0]?.lastWords).toMatch(/prompt is too long: \d+ tokens > 1024 maximum/)
    const failed = claims.filter(({ verdict }) => verdict === 'fail')
    expect(failed.map(({ claim }) => claim)).toContainEqual(
      expect.stringContaining('every request is answered'),
    )
  })
})

it('what stands between lets the service see that an agent has left', async () => {
  const service = await createServiceFolder().start(fakeFlags, { prefillTokensPerSecond: 50 })
  const ends: (() => Promise<void>)[] = []
  const scratch: Scratch = {
    directory: '',
    own: (end) => {
      ends.push(end)
      return () => {}
    },
  }
  onTestFinished(async () => {
    for (const end of ends) await end()
  })
  const asked = Promise.withResolvers<string>()
  const recorder = await startRecorder(service.url, scratch, asked.resolve)
  const leaving = new AbortController()
  const messages = [{ role: 'user', content: 'a long prompt '.repeat(200) }]
  const reply = fetch(`${recorder.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages, tools: [] }),
    signal: leaving.signal,
  })
  expect(await asked.promise).toBe('/v1/chat/completions')
  const busy = async () =>
    ((await service.get('/v1/workers')) as { data: { busy_sequences: number }[] }).data[0]
      ?.busy_sequences
  await until(busy, (count) => count === 1)
  leaving.abort()
  await expect(reply).rejects.toThrow()
  await until(busy, (count) => count === 0)
  expect(await recorder.take()).toMatchObject([{ isWhole: false }])
})
