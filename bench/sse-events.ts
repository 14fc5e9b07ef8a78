/** The JSON of a stream's `data:` frames. Comments and the last word `[DONE]` are left out. */
export async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder()
  let open = ''
  for await (const bytes of body) {
    const frames = (open + decoder.decode(bytes, { stream: true })).split('\n\n')
    open = frames.pop() ?? ''
    for (const frame of frames) {
      if (!frame.startsWith('data: ') || frame === 'data: [DONE]') continue
      yield JSON.parse(frame.slice('data: '.length))
    }
  }
}
