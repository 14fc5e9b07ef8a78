/**
 * `npm run proof:crash`: kill -9 of real processes while they open, restore, save, evict and change
 * their budgets, and of whole services while they save. Ends with 0 only when no restore was wrong
 * and every acknowledged block was there that had not been told to leave.
 */
import { parseArgs } from 'node:util'
import { killAgainAndAgain, killFindings } from './crash/kills.ts'
import { fakeScene, realScene } from './crash/scenes.ts'
import { type CrashOptions, crashFindings, proveCrashes } from './crash/services.ts'
import { type Finding, findingLines, isProven } from './findings.ts'
import { ensureModel } from './model.ts'
import { createRandom } from './random.ts'
import { type Scratch, withScratch } from './scratch-folder.ts'

const usage = `npm run proof:crash -- [--kills 1000] [--service-kills 20] [--real-kills 4]
                       [--seed N]

Kills processes with -9 at random moments: first one that has the pipeline, the cache and the fake
engine in it, whose tiers get smaller and larger meanwhile, then whole services with the fake
engine, whose answers depend on every restored byte, and at last services with the real model. The
seed is printed; it repeats the prompts. With a key in PREFIXD_ENCRYPT_KEY the first one's store is
encrypted.`

function readCount(name: string, text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 0) return count
  throw new Error(`--${name} is a whole number from 0, not ${text}.`)
}

interface Given {
  readonly kills: number
  readonly seed: number
  readonly scratch: Scratch
}

async function proveKills({ kills, seed, scratch }: Given): Promise<Finding[]> {
  if (kills === 0) return []
  const onProgress = (line: string): void => console.error(line)
  const random = createRandom(seed)
  return killFindings(await killAgainAndAgain({ kills, random, scratch, onProgress }))
}

async function prove(
  name: string,
  scene: (given: Parameters<typeof fakeScene>[0]) => CrashOptions,
  given: Given,
): Promise<Finding[]> {
  if (given.kills === 0) return []
  const onProgress = (line: string): void => console.error(`${name}: ${line}`)
  return crashFindings(name, await proveCrashes(scene({ ...given, onProgress })))
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '1000' },
      'service-kills': { type: 'string', default: '20' },
      'real-kills': { type: 'string', default: '4' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const seed = readCount('seed', values.seed)
  const kills = readCount('kills', values.kills)
  const serviceKills = readCount('service-kills', values['service-kills'])
  const realKills = readCount('real-kills', values['real-kills'])
  console.log(`seed ${seed}`)
  if (realKills > 0)
    await ensureModel({ engine: 'llamacpp', model: 'smollm2-135m', reuse: 'block' })
  return withScratch(async (scratch) => {
    const findings = [
      ...(await proveKills({ kills, seed, scratch })),
      ...(await prove('fake engine', fakeScene, { kills: serviceKills, seed, scratch })),
      ...(await prove('real model', realScene, { kills: realKills, seed, scratch })),
    ]
    console.log(['', ...findingLines(findings)].join('\n'))
    return isProven(findings) ? 0 : 1
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`proof:crash: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
