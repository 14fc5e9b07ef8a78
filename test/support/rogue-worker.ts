/** A worker that breaks the protocol in one way; the way is its first argument. */
import { Socket } from 'node:net'
import { createChannel } from '../../engines/channel.ts'
import { protocolFrameLimits, protocolVersion } from '../../engines/frames.ts'
import { readToWorker, type ToService } from '../../engines/messages.ts'
import { scriptedInfo } from './scripted-engine.ts'

export const rogueWays = [
  'garbage',
  'other version',
  'hangs up',
  'bad info',
  'other model',
] as const
export type RogueWay = (typeof rogueWays)[number]

const way = process.argv[2] as RogueWay
const socket = new Socket({ fd: 3 })
// Whatever happens to its socket, this process lives until somebody kills it.
setInterval(() => {}, 60_000)

const channel = createChannel(socket, protocolFrameLimits, {
  onFrame(header) {
    const message = readToWorker(header)
    if (message.type === 'hello') void send({ type: 'ready', info: info() })
    if (message.type === 'open') void send({ type: 'ok', id: message.id })
    if (message.type === 'trim') {
      if (way === 'hangs up') socket.destroy()
      if (way === 'garbage') socket.write(Buffer.alloc(64, 0xff))
      if (way === 'other model') process.kill(process.pid, 'SIGKILL')
    }
  },
  onBroken() {},
  onEnd() {},
})
const send = (message: ToService): Promise<void> => channel.send(message)

function info() {
  if (way === 'bad info') return { ...scriptedInfo, sequences: 0 }
  if (way !== 'other model') return scriptedInfo
  return { ...scriptedInfo, fingerprint: { ...scriptedInfo.fingerprint, build: `${process.pid}` } }
}

const protocol = way === 'other version' ? protocolVersion + 1 : protocolVersion
void send({ type: 'hello', protocol })
