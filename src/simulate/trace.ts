/**
 * A trace: which blocks each request asked for, and nothing of what was in them.
 *
 * A line is a JSON object of Mooncake's format, `timestamp` in ms, `input_length`, `output_length`
 * and `hash_ids`, the prompt's blocks in order. Each id stands for its block and all before it. Our
 * own recorder adds `model`, `block_tokens`, `block_bytes` and `block_ms`.
 */
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'

/** What `bytesPerToken` and the like stand for where a line does not say. */
export interface TraceDefaults {
  readonly blockTokens: number
  readonly bytesPerToken: number
}

export interface TraceRequest {
  readonly atMs: number
  /** Indexes into `blocks`, from the prompt's first block to its last. */
  readonly blocks: readonly number[]
}

export interface TraceBlock {
  /** Index of the block before it; -1: it begins a prompt. */
  readonly parent: number
  readonly sizeBytes: number
  /** What computing it took when it was recorded; null where the trace does not say. */
  readonly recomputeMs: number | null
}

export interface Trace {
  readonly requests: readonly TraceRequest[]
  readonly blocks: readonly TraceBlock[]
  /** Blocks that all requests asked for, those asked for again included. */
  readonly askedBlocks: number
  readonly promptTokens: number
}

interface Line {
  readonly timestamp: number
  readonly inputTokens: number
  readonly ids: readonly (string | number)[]
  readonly model: string
  readonly blockTokens: number
  readonly blockBytes: number
  readonly blockMs: number | null
}

export interface TraceBuilder {
  /** One line of the file, the first one being 1. Throws a typed error that names it. */
  add(text: string, lineNumber: number): void
  trace(): Trace
}

export function buildTrace(defaults: TraceDefaults): TraceBuilder {
  const indexes = new Map<string, number>()
  const blocks: TraceBlock[] = []
  const requests: TraceRequest[] = []
  let askedBlocks = 0
  let promptTokens = 0
  let latestMs = Number.NEGATIVE_INFINITY

  function indexOf(id: string | number, parent: number, line: Line, say: Say): number {
    // Ids of two models may be equal by chance; their blocks never are.
    const key = `${id}\n${line.model}`
    const known = indexes.get(key)
    if (known !== undefined) {
      if (blocks[known]?.parent === parent) return known
      throw say('hash_ids', `has the id ${id} behind another block than on an earlier line`)
    }
    indexes.set(key, blocks.length)
    blocks.push({ parent, sizeBytes: line.blockBytes, recomputeMs: line.blockMs })
    return blocks.length - 1
  }

  return {
    add(text, lineNumber) {
      const say: Say = (field, what) => wrongLine(lineNumber, field, what)
      const line = readLine(text, defaults, say)
      if (line.timestamp < latestMs) {
        throw say('timestamp', `is ${line.timestamp}, before ${latestMs} of the line above`)
      }
      latestMs = line.timestamp
      askedBlocks += line.ids.length
      promptTokens += line.inputTokens
      if (askedBlocks > limits.traceBlocks) {
        throw say('hash_ids', `is the end: a trace may ask for ${limits.traceBlocks} blocks in all`)
      }
      const own: number[] = []
      for (const id of line.ids) own.push(indexOf(id, own.at(-1) ?? -1, line, say))
      requests.push({ atMs: line.timestamp, blocks: own })
    },
    trace: () => ({ requests, blocks, askedBlocks, promptTokens }),
  }
}

type Say = (field: string, what: string) => PrefixdError

function wrongLine(lineNumber: number, field: string, what: string): PrefixdError {
  const where = field === '' ? `Line ${lineNumber}` : `${field} on line ${lineNumber}`
  return new PrefixdError('PREFIXD_E_TRACE', `${where} of the trace ${what}.`, {
    field: field === '' ? `line ${lineNumber}` : `line ${lineNumber}: ${field}`,
    next: 'docs/cli.md says under `prefixd simulate` what a line of a trace is.',
  })
}

function readLine(text: string, defaults: TraceDefaults, say: Say): Line {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw say('', 'is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw say('', 'is not a JSON object')
  }
  const fields = value as Readonly<Record<string, unknown>>
  const number = (field: string, least: number, byDefault?: number): number => {
    const found = fields[field] ?? byDefault
    if (typeof found === 'number' && Number.isFinite(found) && found >= least) return found
    throw say(field, `is ${shown(found)}; it must be a number of at least ${least}`)
  }
  const blockTokens = number('block_tokens', 1, defaults.blockTokens)
  const blockMs = fields.block_ms ?? null
  return {
    timestamp: number('timestamp', 0),
    inputTokens: number('input_length', 0),
    ids: readIds(fields.hash_ids, say),
    model: readModel(fields.model, say),
    blockTokens,
    blockBytes: number('block_bytes', 1, blockTokens * defaults.bytesPerToken),
    blockMs: blockMs === null ? null : number('block_ms', 0),
  }
}

function readIds(ids: unknown, say: Say): readonly (string | number)[] {
  if (!Array.isArray(ids)) throw say('hash_ids', `is ${shown(ids)}; it must be a list of ids`)
  for (const id of ids) {
    const isId = Number.isSafeInteger(id) || (typeof id === 'string' && id !== '')
    if (!isId) throw say('hash_ids', `has ${shown(id)}; an id is a whole number or a text`)
  }
  return ids
}

function readModel(model: unknown, say: Say): string {
  if (model === undefined || typeof model === 'string') return model ?? ''
  throw say('model', `is ${shown(model)}; it must be a text`)
}

/** Enough of a wrong value to find it by. */
const shown = (value: unknown): string =>
  value === undefined ? 'missing' : JSON.stringify(value).slice(0, 40)
