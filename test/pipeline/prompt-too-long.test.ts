import { expect, it } from 'vitest'
import type { PrefixdError } from '../../src/errors.ts'
import { checkTokens } from '../../src/pipeline/tokenize.ts'
import { modelInfo } from '../support/scripted-service.ts'

function adviceOf(engine: string, contextTokens: number, trainedContextTokens: number): string {
  const fingerprint = { ...modelInfo.fingerprint, engine }
  const info = { ...modelInfo, fingerprint, contextTokens, trainedContextTokens }
  try {
    checkTokens(new Uint32Array(contextTokens), info, { field: 'prompt', spare: 1 })
  } catch (error) {
    return (error as PrefixdError).next ?? ''
  }
  return 'nothing'
}

it.each([
  ['llama.cpp', 512, 2048, 'Shorten the prompt, or start prefixd with a larger --ctx.'],
  ['mlx', 512, 0, 'Shorten the prompt, or start prefixd with a larger --ctx.'],
  ['mlx', 512, 512, 'Shorten the prompt: the model was trained for no more.'],
  [
    'llama.cpp',
    512,
    512,
    'Shorten the prompt: the model was trained for no more, or start prefixd with ' +
      '--rope-scaling yarn and a larger --ctx.',
  ],
])('advises only what can help: %s, %i of %i tokens', (engine, context, trained, advice) => {
  expect(adviceOf(engine, context, trained)).toBe(advice)
})
