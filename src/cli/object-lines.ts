/** Reads an answer of JSON objects, one on each line, as it comes. */
import type { StreamErrorJson } from '../api/native/upkeep-schema.ts'
import { limits } from '../config/limits.ts'
import { type ErrorCode, errorKinds, PrefixdError } from '../errors.ts'

/** Throws what the service says on a line of its own, and for an answer that ends too early. */
export async function* readObjects(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
  let last: object | null = null
  for await (const line of linesOf(chunks)) {
    last = JSON.parse(line) as object
    if (isError(last)) throw failureOf(last)
    yield last
  }
  const isWhole = last !== null && 'type' in last && last.type === 'done'
  if (!isWhole) throw new Error('the answer ended too early')
}

async function* linesOf(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > limits.clientReplyBytes) throw new Error('a line of the answer is too long')
    yield* lines
  }
}

const isError = (line: object): line is StreamErrorJson => 'type' in line && line.type === 'error'

function failureOf({ code, message }: StreamErrorJson): PrefixdError {
  const known = Object.hasOwn(errorKinds, code) ? (code as ErrorCode) : 'PREFIXD_E_INTERNAL'
  return new PrefixdError(known, message)
}
