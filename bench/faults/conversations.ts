/** Prompts that share beginnings, as agents' do, and what the engine answers to them when cold. */
import { loadFakeModel } from '../../engines/fake/model.ts'
import { endToken } from '../../engines/fake/vocabulary.ts'
import { createTextStream } from '../../engines/text-stream.ts'
import type { EngineModel, WorkerOptions } from '../../engines/types.ts'
import { greedy } from '../greedy.ts'
import type { Random } from '../random.ts'

export interface Conversations {
  /** New, or an earlier one that goes on, or leaves it somewhere. */
  nextPrompt(): Uint32Array
  /** A later prompt may go on behind this. */
  remember(tokens: Uint32Array): void
}

const remembered = 40

export function createConversations(random: Random, tokensMax: number): Conversations {
  const earlier: Uint32Array[] = []
  const words = (count: number): number[] =>
    Array.from({ length: count }, () =>
      random.next() < 0.04 ? endToken : random.integer(0, endToken - 1),
    )
  return {
    nextPrompt() {
      const before = earlier.length > 0 && random.next() < 0.8 ? random.pick(earlier) : null
      const whole = before?.length ?? 0
      const sharedTokens = random.next() < 0.6 ? whole : random.integer(0, whole)
      const shared = before?.subarray(0, Math.min(sharedTokens, tokensMax - 1)) ?? []
      const own = words(random.integer(1, Math.max(1, tokensMax - shared.length)))
      return Uint32Array.from([...shared, ...own])
    },
    remember(tokens) {
      if (earlier.length < remembered) earlier.push(tokens)
      else earlier[random.integer(0, remembered - 1)] = tokens
    },
  }
}

export interface ColdAnswer {
  readonly tokens: Uint32Array
  readonly text: string
}

export type AskCold = (prompt: Uint32Array, answerTokens: number) => Promise<ColdAnswer>

/** A model of its own that has nothing to do with any cache. */
export async function createColdEngine(worker: WorkerOptions): Promise<AskCold> {
  const clock = { run: async () => 'ok' as const, abort() {} }
  const model = await loadFakeModel(
    worker,
    () => {},
    () => clock,
  )
  return (prompt, answerTokens) => answerOf(model, worker, prompt, answerTokens)
}

async function answerOf(
  model: EngineModel,
  worker: WorkerOptions,
  prompt: Uint32Array,
  answerTokens: number,
): Promise<ColdAnswer> {
  const sequence = model.openSequence()
  const stream = createTextStream()
  const tokens: number[] = []
  let text = ''
  await sequence.compute(prompt, true)
  const request = { tokens: prompt, sampling: greedy, grammar: null, logitBias: [] }
  const sampler = sequence.createSampler(request)
  while (tokens.length < answerTokens) {
    const token = sampler.sample()
    tokens.push(token)
    const isLast = tokens.length === answerTokens || sequence.tokenCount >= worker.contextTokens
    text += stream.push(model.piece(token), isLast)
    if (isLast) break
    await sequence.compute(Uint32Array.of(token), true)
  }
  sampler.close()
  return { tokens: Uint32Array.from(tokens), text }
}
