/** The fake engine under a grammar: its answers end, and still come out of the arithmetic. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine } from '../../engines/types.ts'
import { generate } from '../support/ask-engine.ts'
import {
  createCollectingSink,
  createEngineArena,
  type EngineArena,
} from '../support/engine-arena.ts'
import { startFake } from '../support/start-fake.ts'

const json = String.raw`root ::= object
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" (pair ("," pair)*)? "}"
pair ::= string ":" value
array ::= "[" (value ("," value)*)? "]"
string ::= ["] ([^"\\\x00-\x1f] | "\\" ["\\/bfnrt])* ["]
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)?
`

let arena: EngineArena
let engine: Engine
beforeAll(() => {
  arena = createEngineArena(1024 * 1024, 'carried')
  engine = startFake({ arena })
})
afterAll(async () => {
  await engine.close(1_000)
  arena.close()
})

async function answer(prompt: string, grammar: string): Promise<string> {
  const tokens = await engine.tokenize(prompt, { addSpecial: false, parseSpecial: true })
  const sequence = await engine.openSequence(new AbortController().signal)
  try {
    const input = { tokens, grammar, maxTokens: 600, ignoreEnd: false }
    const { text, done } = await generate(sequence, input, createCollectingSink(arena))
    expect(done.finishReason).toBe('stop')
    return text
  } finally {
    await sequence.close()
  }
}

test('it writes JSON that is whole, and other JSON for every prompt', async () => {
  const texts: string[] = []
  for (let index = 0; index < 8; index += 1) texts.push(await answer(`prompt ${index}`, json))
  for (const text of texts) expect(typeof JSON.parse(text)).toBe('object')
  expect(new Set(texts).size).toBeGreaterThan(4)
})

test('it fills a list of texts a little, and closes it', async () => {
  const grammar = 'root ::= "[" text ("," text)* "]"\ntext ::= ["] [a-z]+ ["]'
  const list: unknown = JSON.parse(await answer('a list', grammar))
  expect(list).toEqual(expect.arrayContaining([expect.stringMatching(/^[a-z]+$/)]))
})

test('it keeps to its script where the grammar allows that, and leaves it elsewhere', async () => {
  const tools = JSON.stringify([{ type: 'function', function: { name: 'look_around' } }])
  const prompt = `<|tools|>${tools}<|end|>\n<|user|>call look_around<|end|>\n<|assistant|>`
  const call = 'root ::= "<tool_call>\\n{" [^}]* "}}\\n</tool_call>"'
  expect(await answer(prompt, call)).toContain('"name": "look_around"')
  expect(await answer(prompt, 'root ::= "no" [a-z]{2}')).toMatch(/^no[a-z]{2}$/)
})
