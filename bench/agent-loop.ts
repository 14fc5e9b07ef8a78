/**
 * The conversation of the demo: an agent with tools and files in its system prompt, and what comes
 * back from its tools. Every text is made by rule, so that each run sends the same bytes. Pure.
 */
import type { ChatMessage } from './chat-client.ts'

const parts = ['boiler', 'pump', 'valve', 'heater', 'sensor', 'filter', 'motor', 'panel'] as const
const verbs = ['start', 'stop', 'check', 'drain', 'record', 'adjust', 'reset', 'inspect'] as const
const places = ['cellar', 'roof', 'kitchen', 'workshop', 'garage', 'hall', 'attic'] as const
const reasons = [
  'the pressure falls below its lower limit',
  'two readings in a row differ by more than a tenth',
  'nobody has confirmed the last alarm',
  'the outside temperature is lower than the set point',
  'the meter has been silent for a minute',
] as const

const pick = <T>(list: readonly T[], at: number): T => list[at % list.length] as T

const tools = [
  ['read_file', 'path', 'Returns the lines of one file with their numbers.'],
  ['write_file', 'path, text', 'Replaces a file. The old text is kept for one day.'],
  ['search', 'pattern', 'Returns the lines that match, ordered by file.'],
  ['run_tests', 'names', 'Runs tests and returns those that fail, with their output.'],
  ['ask_person', 'question', 'Asks a person and waits for one line of an answer.'],
] as const

function describeTools(): string {
  return tools
    .map(([name, parameters, description]) => {
      const tool = { type: 'function', function: { name, description, parameters } }
      return JSON.stringify(tool)
    })
    .join('\n')
}

/** One source file of about 190 tokens; no two are alike. */
function sourceFile(index: number): string {
  const part = pick(parts, index)
  const place = pick(places, index)
  const verb = pick(verbs, index * 3 + 1)
  const other = pick(verbs, index * 5 + 2)
  const least = 12 + ((index * 37) % 61)
  return [
    `### file ${index}: src/${place}/${part}-${index}.ts`,
    `// Controls the ${part} in the ${place}. It may ${verb} when ${pick(reasons, index)}.`,
    `export function ${verb}${index}(reading: number, limit = ${least}): string {`,
    `  if (reading < limit) return '${other} the ${part} in the ${place}'`,
    `  if (reading > limit * ${2 + (index % 5)}) return 'call the person on duty'`,
    `  return 'nothing to do until reading ${index * 100 + least}'`,
    '}',
    `// Known problem ${index}: it does not ${other} when ${pick(reasons, index * 2 + 3)}.`,
    '',
  ].join('\n')
}

/** What stands before every conversation: rules, tools and `fileCount` files. */
export function systemPrompt(fileCount: number): string {
  const files = Array.from({ length: fileCount }, (_, index) => sourceFile(index + 1))
  return [
    'You are an agent that looks after the software of a house. You read files, call tools, and',
    'answer in one or two short sentences. Name the file that you speak of. Never guess: when a',
    'file does not say it, say so. Call one tool at a time and wait for what it returns.',
    '',
    '# Tools',
    describeTools(),
    '',
    '# Files',
    ...files,
  ].join('\n')
}

const errands = [
  'Which file decides when the person on duty is called? Start with the cellar.',
  'The pump in the cellar was silent for a minute. What has to happen now?',
  'Check whether the limit of the valve fits the new meter, which reads 40 at rest.',
  'Write down which known problems concern the workshop.',
  'The heater was adjusted twice today. Is that allowed?',
  'Sum up what you have found so far, for the person on duty.',
] as const

export const turnCount = errands.length

/** The user's message of a turn (0-based): what a tool returned, and what to do with it. */
export function turnMessage(turn: number): ChatMessage {
  const seen = Array.from({ length: 3 }, (_, line) => {
    const at = turn * 11 + line * 7 + 5
    return `${at}: ${pick(places, at)} ${pick(parts, at)} reads ${(at * 29) % 83}`
  })
  const result = turn === 0 ? '' : `Tool result of search:\n${seen.join('\n')}\n\n`
  return { role: 'user', content: result + pick(errands, turn) }
}

/** A conversation of somebody else, with the same system prompt. */
export const otherSession = (system: ChatMessage): readonly ChatMessage[] => [
  system,
  { role: 'user', content: 'List the tools that you have.' },
]

/**
 * The request that is repeated to be measured; 13 tokens behind the system prompt, or about that.
 */
export const measuredSession = (system: ChatMessage): readonly ChatMessage[] => [
  system,
  { role: 'user', content: 'Is the roof dry?' },
]
