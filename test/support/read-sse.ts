/** A small reader of server-sent events, independent of the writer under test. */
export interface SseFrames {
  /** Parsed `data:` lines, `[DONE]` as a string. */
  readonly data: readonly (Record<string, unknown> | '[DONE]')[]
  readonly comments: readonly string[]
}

export function readSse(text: string): SseFrames {
  const frames = text.split('\n\n')
  if (frames.pop() !== '') throw new Error('the stream ends inside a frame')
  const data: (Record<string, unknown> | '[DONE]')[] = []
  const comments: string[] = []
  for (const frame of frames) {
    if (frame.startsWith(': ')) comments.push(frame.slice(2))
    else if (frame === 'data: [DONE]') data.push('[DONE]')
    else if (frame.startsWith('data: ')) data.push(JSON.parse(frame.slice(6)))
    else throw new Error(`not a frame: ${frame}`)
  }
  return { data, comments }
}
