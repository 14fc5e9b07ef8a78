/** Turns the bytes of tokens, one after the other, into text that only has complete characters. */
export interface TextStream {
  /** Text that became complete. `last` also flushes what never will be, as U+FFFD. */
  push(piece: Uint8Array, last: boolean): string
}

export function createTextStream(): TextStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return { push: (piece, last) => decoder.decode(piece, { stream: !last }) }
}
