/**
 * The engine-neutral loop behind one request: prefill on the grid, decode, export.
 *
 * The grid: prefill calls end at absolute multiples of `blockTokens`, or at the end of the prompt.
 * Restoring whole blocks is then bit-identical to computing them (DESIGN.md rule 15).
 */
import type { ReuseMode, TokenIds } from '../cache/types.ts'
import { EngineError } from './errors.ts'
import { type Announced, createExporter, type Exporter, type ExportOutlet } from './exporter.ts'
import { createTextStream } from './text-stream.ts'
import type { Turns } from './turns.ts'
import type {
  EngineModel,
  EngineSampler,
  EngineSequence,
  FinishReason,
  GenerateDone,
  GenerateEvent,
  GenerateInput,
} from './types.ts'

export interface GenerateJob {
  readonly model: Pick<EngineModel, 'info' | 'piece' | 'isEnd'>
  readonly sequence: EngineSequence
  readonly turns: Turns
  readonly blockTokens: number
  readonly reuse: ReuseMode
  readonly input: GenerateInput
  readonly outlet: ExportOutlet & {
    /** Resolves when the receiver takes more. */
    emit(event: Exclude<GenerateEvent, GenerateDone>): Promise<void>
  }
  /** Ends the request within one token; what was computed is still exported. */
  readonly signal: AbortSignal
}

interface Sampled {
  readonly token: number
  readonly logits: Float32Array | null
}

/**
 * Runs one request. The last sampled token is not in the KV cache. `decodedTokens` counts every
 * sampled token, an end-of-generation token included; that one is emitted without its text.
 * Throws EngineError; the sequence is then in no defined state and must be cleared.
 */
export async function runGenerate(job: GenerateJob): Promise<GenerateDone> {
  checkInput(job)
  const run = createRun(job)
  try {
    await run.prefill()
    const finishReason = await run.decode()
    await run.exportTail()
    return run.done(finishReason)
  } catch (error) {
    await run.drop()
    throw error
  } finally {
    run.close()
  }
}

/** Throws unless a prefill call of tokens [from, to) keeps to the grid. */
export function assertOnGrid(
  from: number,
  to: number,
  promptTokens: number,
  blockTokens: number,
): void {
  const whole = to % blockTokens === 0 || to === promptTokens
  if (to > from && to <= promptTokens && to - from <= blockTokens && whole) return
  throw new EngineError(
    'PREFIXD_E_ENGINE_COMPUTE',
    `Prefill call of tokens ${from} to ${to} leaves the grid of ${blockTokens} tokens ` +
      `(prompt of ${promptTokens}). This is a defect of the worker; please report it.`,
  )
}

interface Run {
  prefill(): Promise<void>
  decode(): Promise<FinishReason>
  exportTail(): Promise<void>
  done(finishReason: FinishReason): GenerateDone
  drop(): Promise<void>
  close(): void
}

function createRun(job: GenerateJob): Run {
  const { model, sequence, turns, blockTokens, input, outlet, signal } = job
  const promptTokens = input.tokens.length
  const ids = createTokenLog(input.tokens, job)
  const exporter = createExporter({
    sequence,
    layout: model.info.layout,
    turns,
    outlet,
    tokens: ids.slice,
  })
  const text = createTextStream()
  let sampler: EngineSampler | null = null
  let sampled: Sampled | null = null
  let computing = false
  let stopped = false
  let decodedTokens = 0
  let prefillMs = 0
  let decodeMs = 0
  // Tokens [0, gridEnd) are as a cold prefill on the grid computes them; -1: what stands is not.
  const restoredOnGrid = input.restoredOnGrid && input.computeFrom % blockTokens === 0
  let gridEnd = input.computeFrom === 0 || restoredOnGrid ? input.computeFrom : -1

  const onAbort = (): void => {
    if (computing) sequence.abort()
  }
  signal.addEventListener('abort', onAbort)

  /**
   * One call of the engine, with the sampling that belongs to it: another request's call may replace
   * the logits. Answers its time, or null when it was aborted.
   */
  const call = (tokens: TokenIds, wantLogits: boolean): Promise<number | null> =>
    turns.take(async () => {
      stopped ||= signal.aborted
      if (stopped) return null
      const startedAt = performance.now()
      const end = sequence.tokenCount + tokens.length
      computing = true
      const result = await sequence.compute(tokens, wantLogits).finally(() => {
        computing = false
      })
      stopped = result === 'aborted'
      if (stopped) return null
      checkCount(sequence, end)
      if (wantLogits) sampled = sample()
      return performance.now() - startedAt
    })

  const sample = (): Sampled => {
    sampler ??= sequence.createSampler(input.sampling, input.tokens)
    const logits = input.logits === true ? sequence.logits() : null
    return { token: sampler.sample(), logits }
  }

  const announce = (to: number, grid: boolean): Announced | null => {
    if (!input.save || to % blockTokens !== 0) return null
    if (job.reuse === 'block' && !grid) return null
    return exporter.announce({ from: to - blockTokens, to, grid })
  }

  return {
    async prefill() {
      for (let from = input.computeFrom; from < promptTokens; ) {
        const to = Math.min(from - (from % blockTokens) + blockTokens, promptTokens)
        assertOnGrid(from, to, promptTokens, blockTokens)
        const grid = from === gridEnd && to - from === blockTokens
        const announced = announce(to, grid)
        const wantLogits = to === promptTokens && input.maxTokens > 0
        const callMs = await call(input.tokens.subarray(from, to), wantLogits)
        if (callMs === null) {
          announced?.cancelled()
          return
        }
        prefillMs += callMs
        if (grid) gridEnd = to
        await announced?.computed()
        await outlet.emit({ type: 'prefill', processedTokens: to, totalTokens: promptTokens })
        from = to
      }
    },

    async decode() {
      for (;;) {
        if (stopped || signal.aborted) return 'aborted'
        if (sampled === null || decodedTokens === input.maxTokens) return 'length'
        const { token, logits }: Sampled = sampled
        decodedTokens += 1
        const ended = model.isEnd(token) && input.ignoreEnd !== true
        const full = sequence.tokenCount >= model.info.contextTokens
        const last = ended || full || decodedTokens === input.maxTokens
        const complete = text.push(ended ? noBytes : model.piece(token), last)
        await outlet.emit({ type: 'token', token, text: complete, ...(logits && { logits }) })
        if (last) return ended ? 'stop' : 'length'
        ids.push(token)
        const to = sequence.tokenCount + 1
        const announced = announce(to, false)
        const callMs = await call(Uint32Array.of(token), true)
        if (callMs === null) {
          announced?.cancelled()
          return 'aborted'
        }
        decodeMs += callMs
        await announced?.computed()
      }
    },

    async exportTail() {
      const to = sequence.tokenCount
      const from = to - (to % blockTokens)
      const isNew = to > from && to > input.computeFrom
      if (input.save && job.reuse === 'token' && isNew) {
        await exporter.tail({ from, to, grid: false })
      }
      await exporter.finish()
    },

    done: (finishReason) => ({
      type: 'done',
      finishReason,
      restoredTokens: input.computeFrom,
      computedTokens: Math.min(sequence.tokenCount, promptTokens) - input.computeFrom,
      decodedTokens,
      prefillMs,
      decodeMs,
      exportMs: exporter.exportMs,
    }),

    drop: () => dropQuietly(exporter),

    close() {
      signal.removeEventListener('abort', onAbort)
      sampler?.close()
    },
  }
}

const noBytes = new Uint8Array(0)

// The request's own error matters; reservations that cannot be given back die with the worker.
async function dropQuietly(exporter: Exporter): Promise<void> {
  try {
    await exporter.drop()
  } catch {
    return
  }
}

/** Ids of what stands in the sequence: the prompt, then the decoded tokens. */
function createTokenLog(prompt: TokenIds, job: GenerateJob) {
  const room = Math.max(0, job.model.info.contextTokens - prompt.length)
  const ids = new Uint32Array(prompt.length + Math.min(job.input.maxTokens, room))
  ids.set(prompt)
  let length = prompt.length
  return {
    push(token: number): void {
      ids[length] = token
      length += 1
    },
    slice: (from: number, to: number): TokenIds => ids.slice(from, to),
  }
}

function checkInput({ sequence, input, model }: GenerateJob): void {
  const { contextTokens } = model.info
  const promptTokens = input.tokens.length
  if (promptTokens > contextTokens) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_COMPUTE',
      `The prompt has ${promptTokens} tokens, the context holds ${contextTokens}. ` +
        'Send a shorter prompt or start with a larger --ctx.',
    )
  }
  const { computeFrom } = input
  if (computeFrom >= promptTokens || computeFrom !== sequence.tokenCount) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_PROTOCOL',
      `\`computeFrom\` is ${computeFrom} with ${sequence.tokenCount} tokens in the sequence and ` +
        `${promptTokens} in the prompt; it must be what was restored, and below the prompt's length.`,
    )
  }
}

function checkCount(sequence: EngineSequence, expected: number): void {
  if (sequence.tokenCount === expected) return
  throw new EngineError(
    'PREFIXD_E_ENGINE_COMPUTE',
    `The engine counts ${sequence.tokenCount} tokens after a call that had to end at ${expected}. ` +
      'The sequence is cleared; send the request again.',
  )
}
