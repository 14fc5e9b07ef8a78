/**
 * `npm run proof:tools`: a tool loop on the real model with `tool_choice: required`. Ends with 0
 * only when every call parses and obeys its schema.
 */
import { parseArgs } from 'node:util'
import { agentTools } from './agent-tools.ts'
import { wordsFor } from './crash/scenes.ts'
import { findingLines, isProven } from './findings.ts'
import { ensureModel } from './model.ts'
import { createRandom } from './random.ts'
import { withScratch } from './scratch-folder.ts'
import { startService } from './service-process.ts'
import { readChoices } from './settings.ts'
import { runToolLoop, toolFindings } from './tool-loop.ts'

const usage = `npm run proof:tools -- [--calls 50] [--seed 1] [--engine llamacpp] [--model NAME]

Asks for calls of five tools, one after the other, and answers each: enums, nested objects, lists,
ranges, patterns, formats. The model samples at temperature 0.8. A few minutes on two cores.`

function readCount(name: string, text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count > 0) return count
  throw new Error(`--${name} is a whole number from 1, not ${text}.`)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      calls: { type: 'string', default: '50' },
      seed: { type: 'string', default: '1' },
      engine: { type: 'string', default: 'llamacpp' },
      model: { type: 'string', default: 'smollm2-135m' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const calls = readCount('calls', values.calls)
  const random = createRandom(readCount('seed', values.seed))
  const { engine, model } = readChoices({ ...values, reuse: 'token' })
  await ensureModel({ engine, model, reuse: 'token' })
  const startedAt = performance.now()
  const onProgress = (line: string): void => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
    console.error(`${seconds.padStart(5)} s  ${line}`)
  }
  return withScratch(async (scratch) => {
    // The fake engine's tokens are bytes.
    const ctx = engine === 'fake' ? '32768' : '8192'
    const flags = { engine, model, ctx, ram: '512MiB', ssd: '2GiB' }
    const { url, stop } = await startService(wordsFor(scratch, 'data', flags), scratch)
    const name = engine === 'fake' ? 'fake' : model
    const loop = { url, model: name, tools: agentTools, callsPerConversation: 10 }
    const made = await runToolLoop({ ...loop, calls, random, onProgress })
    await stop()
    const findings = toolFindings(made, agentTools)
    console.log(['', ...findingLines(findings)].join('\n'))
    return isProven(findings) ? 0 : 1
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`proof:tools: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
