/** What the same questions cost another server of the same engine, cold, warm and restarted. */
import { join } from 'node:path'
import type { MlxRuntime } from '../engines/index.ts'
import { measuredSession, otherSession } from './agent-loop.ts'
import type { ChatMessage } from './chat-client.ts'
import { type PeerAnswer, startMlxServer } from './mlx-server.ts'
import { prefixd } from './model.ts'
import type { Scratch } from './scratch-folder.ts'
import type { Settings } from './settings.ts'

export interface Peer {
  readonly name: string
  readonly cold: PeerAnswer
  /** Another question behind the same system prompt, out of the memory of its process. */
  readonly warm: PeerAnswer
  /** The same question as the warm one, the first of a new process. */
  readonly restarted: PeerAnswer
}

/** Two long prefills. Our own service does not run meanwhile. */
export async function measurePeer(
  { model, config }: Settings,
  runtime: MlxRuntime,
  system: ChatMessage,
  scratch: Scratch,
): Promise<Peer> {
  const modelPath = join(scratch.directory, 'float32')
  prefixd('models', 'convert', model, '--to', 'mlx', '--dtype', 'float32', '--out', modelPath)
  const start = () => startMlxServer(runtime, { modelPath, threads: config.threads }, scratch)
  const first = await start()
  const cold = await first.ask(otherSession(system))
  const warm = await first.ask(measuredSession(system))
  await first.kill()
  const second = await start()
  const restarted = await second.ask(measuredSession(system))
  await second.kill()
  return { name: 'mlx_lm.server', cold, warm, restarted }
}
