/**
 * Server-sent events: frames in, a stream with back-pressure out.
 *
 * frames ──▶ pings while nothing comes ──▶ at most `bufferBytes` wait here ──▶ the socket
 *
 * A slow client stops the reading of frames; one that takes nothing for `stallMs` is given up.
 */
import { Readable } from 'node:stream'

export interface SseOptions {
  readonly pingMs: number
  readonly bufferBytes: number
  readonly stallMs: number
  /** What is sent when nothing else was for `pingMs`. */
  readonly pingFrame: () => string
  /** The last frame of a stream that failed; null when nobody is there to read it. */
  readonly errorFrame: (error: unknown) => string | null
  readonly onStall: () => void
}

/** For dialects whose events have names: the name is the value's own type. */
export const eventFrame = <Event extends { readonly type: string }>(event: Event): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
export const dataFrame = (value: object): string => `data: ${JSON.stringify(value)}\n\n`
export const doneFrame = 'data: [DONE]\n\n'
export const commentFrame = (text: string): string => `: ${text}\n\n`

/** `frames` is ended (its `finally` runs) when the stream is destroyed before its end. */
export function sseStream(frames: AsyncGenerator<string>, options: SseOptions): Readable {
  const guarded = endWithError(withPings(frames, options), options)
  const stream = Readable.from(giveUpWhenStalled(guarded, options), {
    objectMode: false,
    highWaterMark: options.bufferBytes,
  })
  return stream
}

async function* withPings(
  frames: AsyncGenerator<string>,
  options: SseOptions,
): AsyncGenerator<string> {
  let pending: Promise<IteratorResult<string>> | null = null
  try {
    for (;;) {
      pending ??= frames.next()
      const step = await within(pending, options.pingMs)
      if (step === null) {
        yield options.pingFrame()
        continue
      }
      pending = null
      if (step.done) return
      yield step.value
    }
  } finally {
    // A `next` that is under way ends by its own abort signal; its failure has no reader any more.
    pending?.catch(() => {})
    frames.return(undefined).catch(() => {})
  }
}

async function* endWithError(
  frames: AsyncGenerator<string>,
  options: SseOptions,
): AsyncGenerator<string> {
  try {
    yield* frames
  } catch (error) {
    const frame = options.errorFrame(error)
    if (frame !== null) yield frame
  }
}

async function* giveUpWhenStalled(
  frames: AsyncGenerator<string>,
  options: SseOptions,
): AsyncGenerator<string> {
  for await (const frame of frames) {
    // The reader asks for the next frame only when its buffer has room.
    const timer = setTimeout(options.onStall, options.stallMs)
    try {
      yield frame
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Null when it takes longer. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
