/** One text → its vector. Nothing of it is cached: a vector is of the whole text. */
import type { Engine } from '../../engines/types.ts'
import { requireVectors } from './capabilities.ts'
import { checkTokens, tokensOf } from './tokenize.ts'
import type { EmbeddedText, EmbedPrompt } from './types.ts'

/** `field` is the request's own name of this text. */
export async function embed(
  engine: Engine,
  prompt: EmbedPrompt,
  field: string,
): Promise<EmbeddedText> {
  const info = await engine.ready()
  requireVectors(info)
  const tokens = await tokensOf(engine, prompt)
  checkTokens(tokens, info, { field, spare: 0 })
  return { vector: await engine.embed(tokens), promptTokens: tokens.length }
}
