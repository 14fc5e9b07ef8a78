import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { greedy } from '../../../bench/greedy.ts'
import type { EngineModel, EngineSequence } from '../../../engines/types.ts'
import { createFollower, schemaToGbnf } from '../../chat/grammar/follow.ts'
import { examples } from '../../chat/grammar/schemas.ts'
import { openDefaultModel } from '../../support/llamacpp-model.ts'

let model: EngineModel
let sequence: EngineSequence

beforeAll(async () => {
  model = await openDefaultModel({ contextTokens: 512 })
  sequence = model.openSequence()
})
afterAll(() => model.close())

const take = (grammar: string): void => {
  sequence.createSampler({ sampling: greedy, tokens: Uint32Array.of(1), grammar }).close()
}

test('the real engine takes the grammars that schemas become', () => {
  const seed = 20_261_122
  for (const { schema } of fc.sample(examples, { numRuns: 150, seed })) take(schemaToGbnf(schema))
})

test('large repetitions are taken, since they are written as repetitions of hundreds', () => {
  const large = {
    type: 'array',
    items: { type: 'string', minLength: 150, maxLength: 20_000 },
    minItems: 120,
    maxItems: 5000,
  }
  const grammar = schemaToGbnf(large)
  take(grammar)
  const follows = createFollower(grammar)
  const list = (count: number, length: number): string =>
    JSON.stringify(Array.from({ length: count }, () => 'x'.repeat(length)))
  expect([list(120, 150), list(121, 250)].map(follows)).toEqual([true, true])
  expect([list(119, 150), list(120, 149)].map(follows)).toEqual([false, false])
})
