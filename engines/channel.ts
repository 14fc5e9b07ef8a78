/** One end of the control socket: messages in both directions, in order. */
import type { Socket } from 'node:net'
import {
  createFrameDecoder,
  encodeFrame,
  type FrameHeader,
  type FrameLimits,
  protocolError,
} from './frames.ts'

export interface ChannelHandlers {
  /** A throw ends the channel with `onBroken`. */
  onFrame(header: FrameHeader, payload: Uint8Array): void
  /** The peer broke the protocol, or the socket failed; nothing is read any more. */
  onBroken(error: Error): void
  /** The peer closed its end between two frames. */
  onEnd(): void
}

export interface Channel {
  /**
   * Sends one frame; pieces of the payload are written as they are and must not change until the
   * promise resolves, which is when the socket takes more. A closed channel swallows the frame.
   */
  send(header: FrameHeader, payload?: readonly Uint8Array[]): Promise<void>
  /** Ends our side; resolves when everything that was sent is out. */
  end(): Promise<void>
  destroy(): void
}

export function createChannel(
  socket: Socket,
  limits: FrameLimits,
  handlers: ChannelHandlers,
): Channel {
  const decoder = createFrameDecoder(limits)
  let closed = false
  const finish = (tell: () => void): void => {
    if (closed) return
    closed = true
    tell()
  }
  socket.on('data', (chunk: Buffer) => {
    if (closed) return
    try {
      for (const frame of decoder.push(chunk)) {
        if (!closed) handlers.onFrame(frame.header, frame.payload)
      }
    } catch (error) {
      finish(() => handlers.onBroken(asError(error)))
    }
  })
  // A worker that is killed resets the socket; for us that is an end like any other.
  socket.on('error', () => finish(() => handlers.onEnd()))
  socket.on('end', () => {
    try {
      decoder.end()
    } catch (error) {
      finish(() => handlers.onBroken(asError(error)))
    }
    finish(() => handlers.onEnd())
  })
  socket.on('close', () => finish(() => handlers.onEnd()))

  return {
    send(header, payload = []) {
      if (closed || !socket.writable) return Promise.resolve()
      const pieces = encodeFrame(header, payload, limits)
      const last = pieces.pop() as Uint8Array
      socket.cork()
      for (const piece of pieces) socket.write(piece)
      const sent = new Promise<void>((resolve) => socket.write(last, () => resolve()))
      socket.uncork()
      // Small frames need no waiting while the socket has room: the bytes are its own by now.
      return payload.length === 0 && !socket.writableNeedDrain ? Promise.resolve() : sent
    },
    end: () => new Promise((resolve) => socket.end(resolve)),
    destroy: () => {
      finish(() => {})
      socket.destroy()
    },
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : protocolError(String(error))
}
