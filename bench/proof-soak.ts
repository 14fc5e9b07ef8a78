/**
 * `npm run soak`: mixed traffic on the fake engine, several times over budget. Ends with 0 only
 * when memory, handles and files of the service and its worker stay where they are. Linux.
 */
import { parseArgs } from 'node:util'
import { findingLines, isProven } from './findings.ts'
import { withScratch } from './scratch-folder.ts'
import { soak, soakFindings, soakTable } from './soak/soak.ts'

const usage = `npm run soak -- [--minutes 60] [--seed N]

Sends completions, chats and messages to a service whose tiers are far too small for them, samples
memory, handles, file sizes and the event loop, and says what of it grows.`

const minuteMs = 60_000
const samplesWanted = 120

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new Error(`--minutes is a number above 0, not ${values.minutes}.`)
  console.log(`seed ${values.seed}`)
  const durationMs = minutes * minuteMs
  const report = await withScratch((scratch) =>
    soak({
      seed: Number(values.seed),
      durationMs,
      sampleEveryMs: durationMs / samplesWanted,
      scratch,
      onProgress: (line) => console.error(line),
    }),
  )
  const findings = soakFindings(report)
  console.log(['', ...soakTable(report), '', ...findingLines(findings)].join('\n'))
  return isProven(findings) ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
