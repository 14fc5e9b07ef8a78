/**
 * `npm run proof:bodies`: generated bodies for every POST route, whole, wrong and broken, against
 * the service. Ends with 0 only when each of them got a proper answer.
 */
import { parseArgs } from 'node:util'
import { bodiesFindings, proveBodies } from './bodies/prove.ts'
import { wordsFor } from './crash/scenes.ts'
import { findingLines, isProven } from './findings.ts'
import { ensureModel } from './model.ts'
import { withScratch } from './scratch-folder.ts'
import { startService } from './service-process.ts'
import { readChoices } from './settings.ts'

const usage = `npm run proof:bodies -- [--count 20000] [--seed N] [--from 0] [--engine fake]

Bodies are made from each route's own schema, with the words of agents: whole ones, ones with a
wrong or extreme value, odd keys or nesting bombs, and ones with broken bytes or another content
type. None may be answered with 500, every error must be typed, and the service must answer
afterwards. A failure prints the words that send its body again. With --engine llamacpp bodies go
to the real model, a hundred times slower.`

const model = 'smollm2-135m'

function readCount(name: string, text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 0) return count
  throw new Error(`--${name} is a whole number from 0, not ${text}.`)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '20000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      from: { type: 'string', default: '0' },
      engine: { type: 'string', default: 'fake' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const seed = readCount('seed', values.seed)
  const count = readCount('count', values.count)
  const from = readCount('from', values.from)
  const { engine } = readChoices({ engine: values.engine, model, reuse: 'token' })
  console.log(`seed ${seed}`)
  if (engine !== 'fake') await ensureModel({ engine, model, reuse: 'token' })
  const startedAt = performance.now()
  return withScratch(async (scratch) => {
    // Answers without a limit go on to the end of the context; a real model takes its time.
    const ctx = engine === 'fake' ? '2048' : '256'
    const words = wordsFor(scratch, 'data', { engine, model, ctx, ram: '256MiB' })
    const service = await startService(words, scratch)
    const onProgress = (line: string): void => {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
      console.error(`${seconds.padStart(5)} s  ${line}`)
    }
    const report = await proveBodies({ url: service.url, seed, from, count, onProgress })
    await service.stop()
    const findings = bodiesFindings(report)
    console.log(['', ...findingLines(findings)].join('\n'))
    return isProven(findings) ? 0 : 1
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`proof:bodies: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
