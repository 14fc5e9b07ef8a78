/** A trace from a file, line by line: a long one is never in memory as text. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { fileFault } from '../config/file-fault.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import { buildTrace, type Trace, type TraceDefaults } from './trace.ts'

export interface ReadOptions extends TraceDefaults {
  readonly signal: AbortSignal
  readonly onProgress: (progress: { done: number; total: number }) => void
}

/** Rejects with a typed error that names the file, or the line and its field. */
export async function readTrace(path: string, options: ReadOptions): Promise<Trace> {
  const { signal, onProgress } = options
  const builder = buildTrace(options)
  let rest = ''
  let lineNumber = 0
  let receivedBytes = 0
  const add = (line: string): void => {
    lineNumber++
    if (line.trim() !== '') builder.add(line, lineNumber)
  }
  try {
    const { size: totalBytes } = await stat(path)
    for await (const chunk of createReadStream(path, { encoding: 'utf8', signal })) {
      const lines = (rest + (chunk as string)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) add(line)
      if (rest.length > limits.traceLineLength) throw tooLong(lineNumber + 1)
      receivedBytes += Buffer.byteLength(chunk as string)
      onProgress({ done: receivedBytes, total: totalBytes })
    }
  } catch (error) {
    throw signal.aborted || error instanceof PrefixdError ? error : unreadable(path, error)
  }
  add(rest)
  const trace = builder.trace()
  if (trace.askedBlocks === 0) throw unreadable(path, new Error('it has no requests'))
  return trace
}

function tooLong(lineNumber: number): PrefixdError {
  const most = limits.traceLineLength
  const what = `Line ${lineNumber} of the trace is longer than ${most} characters.`
  return new PrefixdError('PREFIXD_E_TRACE', what, {
    field: `line ${lineNumber}`,
    next: 'A trace has one JSON object on each line, not one list of all.',
  })
}

function unreadable(path: string, cause: unknown): PrefixdError {
  const what = `The trace ${path} could not be read: ${fileFault(cause)}.`
  return new PrefixdError('PREFIXD_E_TRACE', what, {
    field: 'trace',
    next: 'Name a file that `prefixd serve --record FILE` wrote, or one of Mooncake.',
    cause,
  })
}
