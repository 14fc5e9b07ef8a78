/** What every engine promises of how it chooses tokens: grammar, bias, logprobs, seeds. */
import { expect, it } from 'vitest'
import { greedy } from '../../bench/greedy.ts'
import type { Engine, GenerateInput, Sequence } from '../../engines/types.ts'
import { type Answer, generate, promptOf } from '../support/ask-engine.ts'
import type { CollectingSink } from '../support/engine-arena.ts'

export interface SamplingWorker {
  readonly engine: Engine
  sink(): CollectingSink
  sequence<T>(work: (sequence: Sequence) => Promise<T>): Promise<T>
}

const hot = { ...greedy, temperature: 1.3, seed: 5 }
const refusal = { code: 'PREFIXD_E_ENGINE_GRAMMAR' }

export function samplingContract(worker: SamplingWorker): void {
  const ask = async (
    about: string,
    input: Partial<GenerateInput>,
    tokenCount = 12,
  ): Promise<Answer> => {
    const tokens = await promptOf(worker.engine, tokenCount, about)
    return worker.sequence((it) => generate(it, { tokens, ...input }, worker.sink()))
  }
  followsGrammars(worker, ask)
  survivesHostileGrammars(ask)
  biases(ask)
  reportsLogprobs(worker, ask)
}

type Ask = (about: string, input: Partial<GenerateInput>) => Promise<Answer>

function followsGrammars(worker: SamplingWorker, ask: Ask): void {
  it.each([
    ['root ::= "(" [a-z]{3,5} ")"', /^\([a-z]{3,5}\)$/],
    ['root ::= item ("," item){2}\nitem ::= "é" | "ß" | "🚣"', /^[éß🚣]+(,[éß🚣]+){2}$/u],
    ['root ::= "{" pair "}"\npair ::= ["] [a-z]+ ["] ":" ("true" | "false")', /^\{"[a-z]+":\w+\}$/],
  ])('follows %j to its end, and ends by itself', async (grammar, pattern) => {
    for (const sampling of [greedy, hot]) {
      const answer = await ask('a list', { grammar, sampling, ignoreEnd: false, maxTokens: 200 })
      if (answer.done.finishReason === 'stop') expect(answer.text).toMatch(pattern)
      else expect(answer.done.decodedTokens).toBe(200)
    }
  })

  it('ends where the grammar leaves nothing but the end', async () => {
    const answer = await ask('yes', { grammar: 'root ::= "yes"', ignoreEnd: false, maxTokens: 50 })
    expect(answer.text).toBe('yes')
    expect(answer.done.finishReason).toBe('stop')
  })

  it('does not end before the grammar is complete', async () => {
    const grammar = 'root ::= "1234567890" "1234567890" "1234567890"'
    const answer = await ask('digits', { grammar, ignoreEnd: false, maxTokens: 60 })
    expect(answer.text).toBe('1234567890'.repeat(3))
  })

  it('gives the same answer for the same seed, also under a grammar', async () => {
    const grammar = 'root ::= [a-z ]{1,40}'
    const input = { grammar, sampling: hot, ignoreEnd: false, maxTokens: 60 }
    const first = await ask('seeds', input)
    expect((await ask('seeds', input)).tokens).toEqual(first.tokens)
    const other = { ...input, sampling: { ...hot, seed: 6 } }
    expect((await ask('seeds', other)).tokens).not.toEqual(first.tokens)
  })

  it.each([
    ['unbalanced', 'root ::= ("a"'],
    ['an unfinished class', 'root ::= [a-'],
    ['an undefined rule', 'root ::= missing'],
    ['no root', 'start ::= "a"'],
    ['nothing', ''],
    ['left-recursive', 'root ::= root "a" | "b"'],
    [
      'left-recursive behind what may be empty',
      'root ::= a root "x" | "y"\na ::= b\nb ::= "" | "q"',
    ],
    ['a loop of nothing', 'root ::= ("a" | "")*'],
    ['too many repetitions', 'root ::= "a"{100000}'],
    ['repetitions of repetitions', 'root ::= ("a"{1000}){1000}{1000}'],
    ['a repeated long text', `root ::= "${'a'.repeat(100_000)}"{1900}`],
    ['deep groups', `root ::= ${'('.repeat(5000)}"a"${')'.repeat(5000)}`],
  ])('refuses a grammar that is %s before any prefill, and works on', async (_, grammar) => {
    const tokens = await promptOf(worker.engine, 12, 'refused')
    await worker.sequence(async (it) => {
      const asked = generate(it, { tokens, grammar }, worker.sink())
      await expect(asked).rejects.toMatchObject(refusal)
      const after = await generate(it, { tokens }, worker.sink())
      expect(after.done.computedTokens).toBe(tokens.length)
    })
    expect(worker.engine.status().restarts).toBe(0)
  })
}

/** Short, so that as many rules as end llama.cpp's process stay below our own limit of length. */
const ruleName = (index: number): string => `r${index.toString(36)}`

/** Each of these hangs llama.cpp's own grammar sampler, or ends its process. */
const hostile = {
  'optional parts in a row': 'root ::= ("a"? "b"?){100} "!"',
  'rules that refer to each other twice': [
    'root ::= r0 "!"',
    ...Array.from({ length: 60 }, (_, index) => `r${index} ::= r${index + 1} | r${index + 1}`),
    'r60 ::= [ab]{1,9}',
  ].join('\n'),
  'a long chain of rules': [
    `root ::= ${ruleName(0)} "!"`,
    ...Array.from({ length: 30_000 }, (_, at) => `${ruleName(at)} ::= ${ruleName(at + 1)}`),
    `${ruleName(30_000)} ::= [ab]{1,9}`,
  ].join('\n'),
}

function survivesHostileGrammars(ask: Ask): void {
  it.each(Object.entries(hostile))('is not held up by %s', async (_, grammar) => {
    const answer = await ask('hostile', { grammar, ignoreEnd: false, maxTokens: 300 })
    expect(answer.text).toMatch(/^[ab]*!?$/)
    expect(answer.done.finishReason).toBe('stop')
  })
}

function biases(ask: Ask): void {
  it('takes a token with a large bias, and never one with a large negative bias', async () => {
    const [plain] = (await ask('bias', { maxTokens: 1 })).tokens as [number]
    const banned = await ask('bias', { maxTokens: 4, logitBias: [{ token: plain, bias: -100 }] })
    expect(banned.tokens).not.toContain(plain)
    const wanted = plain === 65 ? 66 : 65
    const pushed = await ask('bias', { maxTokens: 3, logitBias: [{ token: wanted, bias: 100 }] })
    expect(pushed.tokens).toEqual([wanted, wanted, wanted])
  })
}

function reportsLogprobs(worker: SamplingWorker, ask: Ask): void {
  it('reports logprobs of the raw logits: those of the token, and the likeliest ones', async () => {
    const answer = await ask('logprobs', { topLogprobs: 5, maxTokens: 4 })
    const events = answer.events.filter((event) => event.type === 'token')
    expect(events).toHaveLength(4)
    for (const { token, logits = new Float32Array(), logprobs } of events) {
      const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0)
      const expected = (of: number) => (logits[of] ?? 0) - Math.log(sum)
      expect(logprobs?.logprob).toBeCloseTo(expected(token), 3)
      expect(logprobs?.top.map((it) => it.logprob)).toEqual(
        logprobs?.top.map((it) => expect.closeTo(expected(it.token), 3)),
      )
      expect(logprobs?.top).toHaveLength(5)
      expect(logprobs?.top[0]?.token).toBe(token)
      const pieces = await worker.engine.pieces(Uint32Array.of(token))
      expect([...(logprobs?.bytes ?? [])]).toEqual([...(pieces[0] ?? [])])
    }
  })

  it('reports the same logprobs whatever bias, temperature and grammar make of them', async () => {
    const first = async (input: Partial<GenerateInput>) => {
      const { events } = await ask('raw', { topLogprobs: 3, maxTokens: 1, ...input })
      return events.find((event) => event.type === 'token')?.logprobs?.top
    }
    const plain = await first({})
    expect(plain).toHaveLength(3)
    const logitBias = [{ token: plain?.[0]?.token ?? 0, bias: -50 }]
    expect(await first({ logitBias, sampling: hot, grammar: 'root ::= [x-z]+' })).toEqual(plain)
  })

  it('reports none where none are wanted, and the sampled token alone for 0', async () => {
    const none = (await ask('none', { maxTokens: 2 })).events
    for (const event of none) expect(event).not.toHaveProperty('logprobs')
    const alone = (await ask('none', { maxTokens: 2, topLogprobs: 0 })).events
    expect(alone.find((event) => event.type === 'token')?.logprobs?.top).toEqual([])
  })
}
