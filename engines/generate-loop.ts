/**
 * The engine-neutral loop behind one request: prefill on the grid, decode, export.
 *
 * The grid: prefill calls end at absolute multiples of `blockTokens`, at a boundary that the
 * service wants, or at the end of the prompt. Restoring whole blocks that no boundary has cut is
 * then bit-identical to computing them (DESIGN.md rule 15).
 */
import type { ReuseMode, TokenIds } from '../cache/types.ts'
import { type ComputeCalls, createComputeCalls, type Sampled } from './compute-calls.ts'
import { createExportQueue, type ExportOutlet, type ExportQueue } from './export-queue.ts'
import { type Announced, createExporter, type Exporter } from './exporter.ts'
import { logprobsOf } from './logprobs.ts'
import { checkInput, nextCallEnd } from './prefill-calls.ts'
import { createTextStream } from './text-stream.ts'
import type { Turns } from './turns.ts'
import type {
  EngineModel,
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

/** Where one request stands. */
interface Run {
  readonly job: GenerateJob
  readonly calls: ComputeCalls
  readonly queue: ExportQueue
  readonly exporter: Exporter
  readonly ids: TokenLog
  /** Tokens [0, gridEnd) are as a cold prefill on the grid computes them; -1: not even those. */
  gridEnd: number
  sampled: Sampled | null
  /** Tokens of the prompt that stand in the sequence, or did before an aborted call. */
  promptEnd: number
  decodedTokens: number
  prefillMs: number
  decodeMs: number
}

/**
 * Runs one request. The last sampled token is not in the KV cache. `decodedTokens` counts every
 * sampled token, an end-of-generation token included; that one is emitted without its text.
 * Throws EngineError; the sequence is then in no defined state and must be cleared.
 */
export async function runGenerate(job: GenerateJob): Promise<GenerateDone> {
  const { input, sequence, model, blockTokens, reuse } = job
  checkInput(input, sequence.tokenCount, { info: model.info, blockTokens, reuse })
  const run = startRun(job)
  try {
    await prefill(run)
    const finishReason = await decode(run)
    await exportEnd(run)
    return doneOf(run, finishReason)
  } catch (error) {
    // The request's own error matters more than one of giving back.
    await run.queue.drop().catch(() => {})
    throw error
  } finally {
    run.calls.close()
  }
}

function startRun(job: GenerateJob): Run {
  const { model, sequence, turns, blockTokens, input, outlet, signal } = job
  const ids = createTokenLog(input, model.info.contextTokens)
  const queue = createExportQueue({ sequence, turns, outlet, tokens: ids.slice })
  const restoredOnGrid = input.restoredOnGrid && input.computeFrom % blockTokens === 0
  return {
    job,
    ids,
    queue,
    calls: createComputeCalls(sequence, turns, input, signal),
    exporter: createExporter(sequence, model.info.layout, queue),
    gridEnd: input.computeFrom === 0 || restoredOnGrid ? input.computeFrom : -1,
    sampled: null,
    promptEnd: input.computeFrom,
    decodedTokens: 0,
    prefillMs: 0,
    decodeMs: 0,
  }
}

async function prefill(run: Run): Promise<void> {
  const { blockTokens, input, outlet } = run.job
  const promptTokens = input.tokens.length
  for (let from = input.computeFrom; from < promptTokens; ) {
    const { to, atBoundary } = nextCallEnd(from, input, blockTokens)
    const grid = from === run.gridEnd && to - from === blockTokens
    const announced = announceEnd(run, to, { grid, atBoundary })
    const wantLogits = to === promptTokens && input.maxTokens > 0
    const computed = await run.calls.compute(input.tokens.subarray(from, to), wantLogits)
    if (computed === null) return announced?.cancelled()
    run.prefillMs += computed.callMs
    run.sampled = computed.sampled
    run.promptEnd = to
    if (grid) run.gridEnd = to
    await announced?.computed()
    await outlet.emit({ type: 'prefill', processedTokens: to, totalTokens: promptTokens })
    from = to
  }
}

async function decode(run: Run): Promise<FinishReason> {
  const { model, sequence, input, outlet } = run.job
  const text = createTextStream()
  for (;;) {
    if (run.calls.stopped) return 'aborted'
    if (run.sampled === null) return 'length'
    const { token, logits } = run.sampled
    run.decodedTokens += 1
    const ended = model.isEnd(token) && input.ignoreEnd !== true
    const full = sequence.tokenCount >= model.info.contextTokens
    const last = ended || full || run.decodedTokens === input.maxTokens
    const complete = text.push(ended ? new Uint8Array(0) : model.piece(token), last)
    await outlet.emit({ type: 'token', token, text: complete, ...reported(run, token, logits) })
    if (last) return ended ? 'stop' : 'length'
    run.ids.push(token)
    const end = sequence.tokenCount + 1
    const announced = announceEnd(run, end, { grid: false, atBoundary: false })
    const computed = await run.calls.compute(Uint32Array.of(token), true)
    if (computed === null) {
      announced?.cancelled()
      return 'aborted'
    }
    run.decodeMs += computed.callMs
    run.sampled = computed.sampled
    await announced?.computed()
  }
}

/** What the request wants to hear of the logits that a token was sampled from. */
function reported({ job }: Run, token: number, logits: Float32Array | null) {
  const { input, model } = job
  if (logits === null) return {}
  const { topLogprobs = null } = input
  return {
    ...(input.logits === true && { logits }),
    ...(topLogprobs !== null && {
      logprobs: logprobsOf(logits, token, topLogprobs, (each) => model.piece(each)),
    }),
  }
}

/** Asks for room for what ends at `to`, while it is computed; null: nothing of it is stored. */
function announceEnd(
  { job, exporter }: Run,
  to: number,
  call: { readonly grid: boolean; readonly atBoundary: boolean },
): Announced | null {
  const { input, blockTokens, reuse } = job
  const { grid } = call
  const atBoundary = call.atBoundary && exporter.hasBoundaries
  const from = blockStart(to, blockTokens)
  const isBlock = to - from === blockTokens
  if (!input.save || !(isBlock || atBoundary)) return null
  if (reuse === 'block' && !grid) return null
  return exporter.announce({ from, to, grid }, atBoundary)
}

/**
 * Where the sequence ends now the next turn goes on. A tail is never on the grid: a longer prompt
 * computes its tokens in another call.
 */
async function exportEnd({ job, exporter, queue }: Run): Promise<void> {
  const { input, blockTokens, reuse } = job
  const to = job.sequence.tokenCount
  // A memory that cannot be cut is empty after an aborted call: what is not out yet is lost.
  if (to < input.computeFrom || to === 0) return await queue.drop()
  if (input.save && reuse === 'token' && to > input.computeFrom) {
    await exporter.end({ from: blockStart(to, blockTokens), to, grid: false }, blockTokens)
  }
  await exporter.finish()
}

/** First token of the block that ends at `to` or is cut there. */
const blockStart = (to: number, blockTokens: number): number => to - 1 - ((to - 1) % blockTokens)

function doneOf(run: Run, finishReason: FinishReason): GenerateDone {
  const { input } = run.job
  return {
    type: 'done',
    finishReason,
    restoredTokens: input.computeFrom,
    computedTokens: run.promptEnd - input.computeFrom,
    decodedTokens: run.decodedTokens,
    prefillMs: run.prefillMs,
    decodeMs: run.decodeMs,
    exportMs: run.queue.exportMs,
  }
}

/** Ids of what stands in the sequence: the prompt, then the decoded tokens. */
interface TokenLog {
  push(token: number): void
  slice(from: number, to: number): TokenIds
}

function createTokenLog({ tokens, maxTokens }: GenerateInput, contextTokens: number): TokenLog {
  const ids = new Uint32Array(Math.min(tokens.length + maxTokens, contextTokens))
  ids.set(tokens)
  let length = tokens.length
  return {
    push(token) {
      ids[length] = token
      length += 1
    },
    slice: (from, to) => ids.slice(from, to),
  }
}
