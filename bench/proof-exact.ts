/**
 * `npm run proof:exact`: restored answers against cold ones on the real model, logits included.
 * Ends with 0 only when everything that it claims is true.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { resolveModel } from '../src/models/index.ts'
import {
  type ExactnessOptions,
  measureBatching,
  proveBlockReuse,
  proveTokenReuse,
} from './exactness.ts'
import { blockFindings, tokenFindings } from './exactness-findings.ts'
import { findingLines, isProven } from './findings.ts'
import { ensureModel } from './model.ts'
import { createRandom } from './random.ts'
import { withScratch } from './scratch-folder.ts'

const usage = `npm run proof:exact -- [--prompts 20] [--seed 1] [--threads 2]

Prompts of 300 to 7,000 tokens: cold, warm from RAM, warm after a restart, each with 48 greedy
tokens. With --reuse block they must be bit-identical; with --reuse token they may differ as two
cold runs with other call sizes do. Takes about twenty minutes on two cores.`

const model = 'smollm2-135m'
const leastTokens = 300
const mostTokens = 7_000
const blockTokens = 256
const gibibyte = 1024 ** 3

/** Both ends, the edges of a block, and lengths that nobody chose between them. */
function promptLengths(count: number, seed: number): number[] {
  const chosen = [
    leastTokens,
    mostTokens,
    2 * blockTokens,
    4 * blockTokens + 1,
    6 * blockTokens - 1,
  ]
  const { integer } = createRandom(seed)
  while (chosen.length < count) chosen.push(integer(leastTokens, mostTokens))
  return chosen.slice(0, count).sort((a, b) => a - b)
}

function readCount(name: string, text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count > 0) return count
  throw new Error(`--${name} is a whole number from 1, not ${text}.`)
}

async function prove(options: ExactnessOptions): Promise<boolean> {
  const blocks = await proveBlockReuse(options)
  const tokens = await proveTokenReuse(options, blocks)
  const batching = await measureBatching(options, blocks)
  const findings = [...blockFindings(blocks, blockTokens), ...tokenFindings(tokens, batching)]
  console.log(['', ...findingLines(findings)].join('\n'))
  return isProven(findings)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      prompts: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      threads: { type: 'string', default: '2' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const seed = readCount('seed', values.seed)
  const promptTokens = promptLengths(readCount('prompts', values.prompts), seed)
  const threads = readCount('threads', values.threads)
  await ensureModel({ engine: 'llamacpp', model, reuse: 'block' })
  const { path } = await resolveModel(model, { pull: false })
  const startedAt = performance.now()
  return withScratch(async ({ directory }) => {
    const holds = await prove({
      engine: 'llamacpp',
      modelPath: path,
      directory: join(directory, 'data'),
      promptTokens,
      answerTokens: 48,
      seed,
      threads,
      contextTokens: 8192,
      ramBytes: gibibyte,
      ssdBytes: 4 * gibibyte,
      blockTokens,
      otherCallTokens: [99, 200],
      otherCallsUpTo: 2_000,
      onProgress: (line) => {
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
        console.error(`${seconds.padStart(5)} s  ${line}`)
      },
    })
    return holds ? 0 : 1
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`proof:exact: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
