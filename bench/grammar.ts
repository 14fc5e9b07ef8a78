/** Decoding under a grammar beside decoding freely, on the same engine. */
import { bare } from './decode.ts'
import { type Pair, pairedFigure } from './figures.ts'
import { noArena } from './live-prefix.ts'
import type { Part } from './part.ts'
import { settingsFor, startBareEngine } from './settings.ts'

/** As a JSON schema becomes: fixed keys, texts, numbers. It does not end before the bench does. */
const jsonObjects = `root ::= item{500}
item ::= "{\\"name\\": " text ", \\"age\\": " number ", \\"tags\\": [" text ("," text)* "]}\\n"
text ::= ["] ([^"\\\\\\x00-\\x1F] | "\\\\" ["\\\\/bfnrt]){0,40} ["]
number ::= "0" | [1-9] [0-9]{0,5}
`

export const grammar: Part = async ({ choices, scratch, quick, progress }) => {
  const settings = await settingsFor(choices, scratch.directory)
  const engine = startBareEngine(settings, noArena)
  scratch.own(() => engine.close(0))
  const tokenCount = quick ? 8 : 192
  const pairs: Pair[] = []
  await engine.ready()
  // The first round compiles what the others run, and reads the vocabulary.
  for (let round = -1; round < (quick ? 1 : 8); round += 1) {
    progress(`grammar: round ${round + 1}`)
    const value = await bare(engine, tokenCount, jsonObjects)
    const limit = await bare(engine, tokenCount)
    if (round >= 0) pairs.push({ value, limit })
  }
  await engine.close(0)
  return [
    pairedFigure(
      {
        id: 'grammar_over_free',
        what: 'decode under a JSON grammar',
        unit: 'tokens/s',
        limitWhat: 'without a grammar',
        promise: { bound: 'at least', value: 0.95 },
      },
      pairs,
    ),
  ]
}
