/** Calls of the service that wait for a worker's answer, by id. */
import type { Channel } from './channel.ts'
import { EngineError, RestoreError } from './errors.ts'
import { protocolError } from './frames.ts'
import type { CallMessage, CallReply, ToWorker } from './messages.ts'

export type Unnumbered<M> = M extends { id: number } ? Omit<M, 'id'> : never
export type CallRequest = Unnumbered<CallMessage>

/** One open call. It takes messages until it says that it is over. */
export interface OpenCall {
  /** Answers true with the last message of the call. Throws PREFIXD_E_ENGINE_PROTOCOL. */
  receive(reply: CallReply, payload: Uint8Array): boolean
  /** The worker has ended, for sure; no byte is touched any more. */
  fail(error: EngineError): void
}

export interface Calls {
  readonly openCount: number
  /** Opens a call that takes several messages. `make` gets the id and a way to send more of it. */
  open<T extends OpenCall>(
    request: CallRequest,
    make: (id: number, send: (message: ToWorker) => void) => T,
  ): T
  /** Sends a call with one answer, which must be of type `expect`. */
  ask<Type extends CallReply['type']>(
    request: CallRequest,
    expect: Type,
    payload?: readonly Uint8Array[],
  ): Promise<Extract<CallReply, { type: Type }>>
  receive(reply: CallReply, payload: Uint8Array): void
  /** Rejects every open call, and all later ones. Only for when the process has ended. */
  failAll(error: EngineError): void
}

/** `onChange` is told after every call that begins or ends. */
export function createCalls(channel: Channel, onChange: (openCount: number) => void): Calls {
  const open = new Map<number, OpenCall>()
  let lastId = 0
  let failed: EngineError | null = null

  const begin = <T extends OpenCall>(
    request: CallRequest,
    make: (id: number) => T,
    payload?: readonly Uint8Array[],
  ): T => {
    lastId += 1
    const id = lastId
    const call = make(id)
    if (failed !== null) {
      call.fail(failed)
      return call
    }
    // Encoding may refuse a frame that is too large; then the call was never opened.
    void channel.send({ ...request, id } as ToWorker, payload)
    open.set(id, call)
    onChange(open.size)
    return call
  }

  return {
    get openCount() {
      return open.size
    },
    open: (request, make) =>
      begin(request, (id) => make(id, (message) => void channel.send(message))),
    ask: (request, expect, payload) =>
      new Promise((resolve, reject) => {
        begin(
          request,
          () => ({
            receive(reply) {
              if (reply.type === 'error') reject(errorOf(reply))
              else if (reply.type === expect) {
                resolve(reply as Extract<CallReply, { type: typeof expect }>)
              } else throw protocolError(`\`${reply.type}\` answers \`${request.type}\``)
              return true
            },
            fail: reject,
          }),
          payload,
        )
      }),
    receive(reply, payload) {
      const call = open.get(reply.id)
      if (call === undefined) throw protocolError(`\`${reply.type}\` for a call that is not open`)
      if (!call.receive(reply, payload)) return
      open.delete(reply.id)
      onChange(open.size)
    },
    failAll(error) {
      failed = error
      const failing = [...open.values()]
      open.clear()
      onChange(0)
      for (const call of failing) call.fail(error)
    },
  }
}

/** The typed error that a worker answered with. */
export function errorOf(reply: Extract<CallReply, { type: 'error' }>): EngineError {
  if (reply.recordIndex === null) return new EngineError(reply.code, reply.message)
  const { recordIndex, corrupt } = reply
  return new RestoreError(reply.message, { recordIndex, corrupt })
}
