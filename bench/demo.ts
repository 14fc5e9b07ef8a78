/**
 * `npm run demo`: an agent loop against the real service, killed with -9 on the way. Ends with 0
 * only when everything that it claims is true.
 */
import { parseArgs } from 'node:util'
import { isFailed, judge, promised } from './demo-claims.ts'
import { demoJson, demoLines } from './demo-report.ts'
import { tellStory } from './demo-story.ts'
import { ensureModel } from './model.ts'
import { withScratch } from './scratch-folder.ts'
import { type Choices, readChoices, settingsFor } from './settings.ts'

const usage = `npm run demo -- [--reuse token|block] [--model NAME] [--engine llamacpp|mlx|fake]
                [--json] [--quick]

Six turns of an agent (about 7,000 tokens; with mlx 3,700) against the real service: cold, warm,
after kill -9 and a restart, and in a new session; beside them the same engine with the prefix live
in its sequence, and with mlx also mlx_lm.server. What is missing is installed and converted.
Ends with 0 when everything that it claims is true. --quick takes a shorter prompt.`

/** 47 files make about 6,500 tokens of the default model in the first turn. */
const whole = { fileCount: 47, restarts: 3, rounds: 5 }
/** Three cold prompts are computed here: one by us, two by mlx_lm.server. */
const wholeByMlx = { ...whole, fileCount: 23 }
const quickly = { fileCount: 4, restarts: 1, rounds: 2 }

interface DemoArguments {
  readonly choices: Choices
  readonly json: boolean
  readonly quick: boolean
}

function readArguments(): DemoArguments | null {
  const { values } = parseArgs({
    options: {
      reuse: { type: 'string', default: 'token' },
      model: { type: 'string', default: 'smollm2-135m' },
      engine: { type: 'string', default: 'llamacpp' },
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return null
  return { choices: readChoices(values), json: values.json, quick: values.quick }
}

async function main(): Promise<number> {
  const given = readArguments()
  if (given === null) {
    console.log(usage)
    return 0
  }
  const { choices, json, quick } = given
  const size = quick ? quickly : choices.engine === 'mlx' ? wholeByMlx : whole
  await ensureModel(choices)
  const startedAt = performance.now()
  const elapsed = (): string =>
    `${((performance.now() - startedAt) / 1000).toFixed(0)} s`.padStart(5)
  return withScratch(async (scratch) => {
    const settings = await settingsFor(choices, scratch.directory)
    const story = await tellStory({
      settings,
      scratch,
      ...size,
      progress: (line) => console.error(`${elapsed()}  ${line}`),
    })
    const claims = judge(story, {
      reuse: choices.reuse,
      blockTokens: settings.config.blockTokens,
      promises: choices.engine === 'fake' || quick ? null : promised[choices.engine],
    })
    if (json) console.log(JSON.stringify(demoJson(story, claims), null, 2))
    else console.log(['', ...demoLines(story, claims)].join('\n'))
    return isFailed(claims) ? 1 : 0
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
