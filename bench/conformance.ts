/**
 * `npm run conformance -- --suite DIR`: the Open Responses suite, unmodified, from a checkout of
 * the user's, against the service with the fake engine. Nothing of the suite is kept here.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'
import { wordsFor } from './crash/scenes.ts'
import { withScratch } from './scratch-folder.ts'
import { startService } from './service-process.ts'

const usage = `npm run conformance -- --suite DIR [--filter ID,ID]

Runs bin/compliance-test.ts of a checkout of openresponses/openresponses, in which \`npm install\`
has been run, and prints its result. Without --filter: every template over plain HTTP that needs
no image.
It ends with the suite's own exit status, 0 when all of them pass.`

const script = join('bin', 'compliance-test.ts')

/** Images are refused by name; the suite's other templates need a WebSocket or /compact. */
const httpTemplates = [
  'basic-response',
  'assistant-phase',
  'response-output-phase-schema',
  'streaming-response',
  'system-prompt',
  'tool-calling',
  'multi-turn',
]

async function runSuite(suite: string, url: string, filter: string): Promise<number> {
  const words = [script, '-u', `${url}/v1`, '-k', 'none', '-m', 'fake', '--filter', filter]
  // The suite's own tsx, or the one that the user has.
  const path = [join(suite, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
  const env = { ...process.env, PATH: path }
  const child = spawn('tsx', words, { cwd: suite, env, stdio: 'inherit' })
  const [status] = (await once(child, 'exit')) as [number | null]
  return status ?? 1
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      filter: { type: 'string', default: httpTemplates.join(',') },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help || values.suite === undefined) {
    console.log(usage)
    return values.help ? 0 : 2
  }
  const { suite, filter } = values
  if (!existsSync(join(suite, script))) {
    console.error(`${suite} has no ${script}. Give --suite a checkout of the Open Responses suite.`)
    return 2
  }
  return withScratch(async (scratch) => {
    const service = await startService(wordsFor(scratch, 'fake', { engine: 'fake' }), scratch)
    const status = await runSuite(suite, service.url, filter)
    await service.stop()
    return status
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`conformance: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
