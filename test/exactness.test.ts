import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import {
  type BlockProof,
  type ExactnessOptions,
  measureBatching,
  proveBlockReuse,
  proveTokenReuse,
} from '../bench/exactness.ts'
import { blockFindings, tokenFindings } from '../bench/exactness-findings.ts'
import type { Finding } from '../bench/findings.ts'
import { defaultModelPath } from './support/default-model.ts'

const folder = mkdtempSync(join(tmpdir(), 'prefixd-exactness-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const blockTokens = 256
const options = (): ExactnessOptions => ({
  engine: 'llamacpp',
  modelPath: defaultModelPath(),
  directory: join(folder, 'data'),
  promptTokens: [300, 512, 513, 1100],
  answerTokens: 48,
  seed: 1,
  threads: 1,
  contextTokens: 1280,
  ramBytes: 256 * 1024 ** 2,
  ssdBytes: 512 * 1024 ** 2,
  blockTokens,
  otherCallTokens: [99, 200],
  otherCallsUpTo: 512,
  onProgress: () => {},
})
const failed = (findings: readonly Finding[]) => findings.filter(({ holds }) => !holds)
const tenMinutes = 600_000

/** The second test goes on where the first one was: records of real prompts are dear. */
let proofs: readonly BlockProof[] = []

test(
  'whole blocks, from RAM and after a restart, give the bits of a cold run on the real model',
  async () => {
    proofs = await proveBlockReuse(options())
    expect(failed(blockFindings(proofs, blockTokens))).toEqual([])
    expect(proofs.map(({ cold }) => cold.tokens.length)).toEqual(proofs.map(() => 48))
  },
  tenMinutes,
)

test(
  'reuse to the token changes the logits no more than other call sizes change a cold run',
  async () => {
    expect(proofs).toHaveLength(4)
    const reused = await proveTokenReuse(options(), proofs)
    const batching = await measureBatching(options(), proofs)
    expect(failed(tokenFindings(reused, batching))).toEqual([])
  },
  tenMinutes,
)
