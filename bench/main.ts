/** `npm run bench`: every promised cost, as a ratio to its limit measured in the same run. */
import './thread-pool.ts'
import { parseArgs } from 'node:util'
import { boundaries } from './boundaries.ts'
import { cachingCost } from './caching-cost.ts'
import { decode } from './decode.ts'
import { disk } from './disk.ts'
import { encryption } from './encryption.ts'
import { eventLoop } from './event-loop.ts'
import { figureLines, figuresJson } from './figures.ts'
import { grammar } from './grammar.ts'
import { indexSize } from './index-size.ts'
import { ensureModel } from './model.ts'
import { parallel } from './parallel.ts'
import type { Figure, Part } from './part.ts'
import { restore } from './restore.ts'
import { withScratch } from './scratch-folder.ts'
import { type Choices, readChoices } from './settings.ts'
import { ttft } from './ttft.ts'

const parts: ReadonlyMap<string, Part> = new Map(
  Object.entries({
    restore,
    disk,
    encryption,
    index: indexSize,
    decode,
    grammar,
    parallel,
    'event-loop': eventLoop,
    'caching-cost': cachingCost,
    boundaries,
    ttft,
  }),
)

const usage = `npm run bench -- [--only PART,…] [--json] [--quick] [--dir FOLDER]
                 [--model NAME] [--engine llamacpp|mlx|fake] [--reuse token|block]

Parts: ${[...parts.keys()].join(', ')}. --dir is where the SSD tier lies, by default the system's
folder for temporary files. --quick proves that the parts run; its figures say nothing.`

interface BenchArguments {
  readonly choices: Choices
  readonly only: readonly string[]
  readonly dir: string | undefined
  readonly quick: boolean
  readonly json: boolean
}

function readArguments(): BenchArguments | null {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: [...parts.keys()].join(',') },
      dir: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      engine: { type: 'string', default: 'llamacpp' },
      model: { type: 'string', default: 'smollm2-135m' },
      reuse: { type: 'string', default: 'token' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { dir, quick, json, help } = values
  if (help) return null
  const only = values.only.split(',')
  const unknown = only.find((name) => !parts.has(name))
  if (unknown !== undefined) {
    throw new Error(`--only knows ${[...parts.keys()].join(', ')}, not ${unknown}.`)
  }
  return { choices: readChoices(values), only, dir, quick, json }
}

async function main(): Promise<void> {
  const given = readArguments()
  if (given === null) {
    console.log(usage)
    return
  }
  const { choices, only, dir, quick, json } = given
  await ensureModel(choices)
  const figures: Figure[] = []
  const progress = (line: string): void => console.error(line)
  for (const name of only) {
    const part = parts.get(name) as Part
    // A folder for each part: what one has stored must not be found by the next one.
    figures.push(
      ...(await withScratch((scratch) => part({ choices, scratch, quick, progress }), dir)),
    )
  }
  console.log(
    json ? JSON.stringify(figuresJson(figures), null, 2) : figureLines(figures).join('\n'),
  )
}

try {
  await main()
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
