/**
 * `npm run families`: what each family of models costs and what it computes again, as a table for
 * ARCHITECTURE.md. Nothing is timed: prompts of an agent, cut at the boundaries that the cache
 * would choose, are left at places that chance picks.
 */
import { parseArgs } from 'node:util'
import { thinned } from '../cache/boundaries.ts'
import { boundariesToSave } from '../cache/index.ts'
import { type FamilyShape, familyShapes } from './family-shapes.ts'
import { median } from './median.ts'
import { createRandom, type Random } from './random.ts'
import { formatCount } from './table.ts'

const blockTokens = 256
const promptCount = 200
const placesPerPrompt = 50

interface Recomputed {
  readonly median: number
  readonly worst: number
}

interface AgentPrompt {
  readonly promptTokens: number
  readonly messageEnds: readonly number[]
}

/** A system prompt of thousands of tokens, then turns of dozens to hundreds. */
function agentPrompt(random: Random): AgentPrompt {
  const messageEnds: number[] = []
  let end = random.integer(2_000, 6_000)
  const turns = random.integer(2, 40)
  for (let turn = 0; turn < turns; turn += 1) {
    messageEnds.push(end)
    end += random.integer(20, 600)
  }
  return { promptTokens: end, messageEnds }
}

/** Tokens between the place where a prompt leaves a stored one, and where that can be gone on. */
function recomputed(
  boundariesOf: (prompt: AgentPrompt) => readonly number[],
  boundaryless: boolean,
): Recomputed {
  const random = createRandom(5)
  const lost: number[] = []
  for (let prompt = 0; prompt < promptCount; prompt += 1) {
    const given = agentPrompt(random)
    const boundaries = boundariesOf(given)
    for (let place = 0; place < placesPerPrompt; place += 1) {
      const left = random.integer(1, given.promptTokens - 1)
      const standing = boundaryless ? left : (boundaries.findLast((it) => it <= left) ?? 0)
      lost.push(left - standing)
    }
  }
  return { median: median(lost), worst: Math.max(...lost) }
}

const shown = ({ median: middle, worst }: Recomputed): string =>
  `${formatCount(middle)}, ${formatCount(worst)}`

const kibibytes = (bytes: number): string =>
  bytes === 0 ? '0' : `${(bytes / 1024).toPrecision(3)} KiB`
const mebibytes = (bytes: number): string =>
  bytes === 0 ? '–' : `${(bytes / 1024 ** 2).toPrecision(3)} MiB`

function tableLines(boundaryTokens: number): string[] {
  const saved = (prompt: AgentPrompt): number[] =>
    boundariesToSave({ ...prompt, blockTokens, boundaryTokens, reuse: 'token' })
  const nothing = recomputed(() => [], false)
  const all = recomputed(saved, false)
  const sparse = recomputed((prompt) => thinned(saved(prompt), prompt.promptTokens), false)
  const toTheToken = recomputed(() => [], true)
  const line = ({ family, example, kvBytesPerToken, boundaryBytes }: FamilyShape): string => {
    const needsBoundary = boundaryBytes > 0
    const cells = [
      `${family} (${example})`,
      kibibytes(kvBytesPerToken),
      mebibytes(boundaryBytes),
      shown(needsBoundary ? nothing : toTheToken),
      shown(needsBoundary ? all : toTheToken),
      needsBoundary ? shown(sparse) : '–',
    ]
    return `| ${cells.join(' | ')} |`
  }
  return [
    '| family | a token | a boundary | computed again before | now | now, thinned |',
    '|---|---|---|---|---|---|',
    ...familyShapes.map(line),
  ]
}

const { values } = parseArgs({
  options: { 'boundary-tokens': { type: 'string', default: '1024' } },
})
console.log(tableLines(Number(values['boundary-tokens'])).join('\n'))
