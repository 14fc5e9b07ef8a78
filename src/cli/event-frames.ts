/** Reads the JSON of server-sent events as they come. */
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { limits } from '../config/limits.ts'

/** Ends with the answer; rejects as the body does, and for an event that is too long. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<object> {
  const events = body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(
      new EventSourceParserStream({ maxBufferSize: limits.clientReplyBytes, onError: 'terminate' }),
    )
  for await (const { data } of events) yield JSON.parse(data) as object
}
