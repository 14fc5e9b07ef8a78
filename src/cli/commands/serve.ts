/** `prefixd serve`: the service in the foreground. The only command that loads the server. */
import { engineSettings } from '../../config/engine-settings.ts'
import type { Config } from '../../config/schema.ts'
import { createClient } from '../client.ts'
import { type CliContext, type Shutdown, style, writeLines } from '../context.ts'
import { ensureEngine } from '../engine-install.ts'
import { failureText, Interrupted } from '../failure.ts'
import { checkModels, ensureModels } from '../model-pull.ts'
import { bannerLines } from '../render/banner.ts'
import { requestLine } from '../render/request-line.ts'
import { printable, printableLines } from '../render/text.ts'
import type { RunningService, ServiceIo } from '../service.ts'
import { loadWithFlags } from '../setting-flags.ts'

export type ServeFlags = Readonly<Record<string, unknown>>

/** Resolves when the service was asked to end and has ended. */
export async function serve(this: CliContext, flags: ServeFlags): Promise<void> {
  const { config } = await loadWithFlags(this, flags)
  const stopping = new AbortController()
  const ended = Promise.withResolvers<void>()
  const starting = Promise.withResolvers<RunningService | null>()

  const takeBack = await this.onShutdown(async (shutdown) => {
    stopping.abort()
    await close(this, shutdown, starting.promise)
    ended.resolve()
  })
  try {
    const running = await start(this, config, flags.yes === true, stopping.signal)
    starting.resolve(running)
    if (!stopping.signal.aborted) await greet(this, running)
  } catch (error) {
    starting.resolve(null)
    if (!stopping.signal.aborted) {
      takeBack()
      throw error
    }
  }
  await ended.promise
  takeBack()
}

async function start(
  context: CliContext,
  config: Config,
  yes: boolean,
  signal: AbortSignal,
): Promise<RunningService> {
  const { engine, models } = config
  if (engine !== 'auto') engineSettings(config, engine)
  // Nobody wants to pull a model first that then cannot be served.
  if (engine === 'mlx') {
    const before = () => checkModels(context, models, 'mlx')
    await ensureEngine(context, { yes, signal, before })
  }
  const kinds = await ensureModels(context, config, signal)
  if (kinds.includes('mlx')) {
    const before = async () => engineSettings(config, 'mlx')
    await ensureEngine(context, { yes, signal, before })
  }
  if (signal.aborted) throw new Interrupted()
  const { serve: startService } = await context.loadService()
  // Large weights take a while; without a word that looks like a hang.
  const what = config.engine === 'fake' ? 'the fake engine' : printable(config.models.join(', '))
  writeLines(context.err, [`loading ${what}`])
  return startService(config, serviceIo(context))
}

function serviceIo(context: CliContext): ServiceIo {
  return {
    log: (line) => writeLines(context.err, printableLines(line)),
    requestDone: (done) => writeLines(context.out, [requestLine(done, context.now())]),
  }
}

/** The banner shows what the service itself answers, not what it was asked to be. */
async function greet(context: CliContext, running: RunningService): Promise<void> {
  const { url, apiKey, warnings } = running
  const client = createClient({ url: new URL(url), apiKey, fetch: context.fetch })
  const [stats, workers] = await Promise.all([client.stats(), client.workers()])
  const lines = bannerLines({
    url,
    stats,
    workers: workers.data,
    hasKeys: apiKey !== null,
    warnings,
    home: context.around.home,
  })
  const shown = lines.map(([name, value]) => `${style(context.out, 'bold', name)}${value}`)
  writeLines(context.out, [...shown, ''])
}

async function close(
  context: CliContext,
  shutdown: Shutdown,
  starting: Promise<RunningService | null>,
): Promise<void> {
  if (shutdown.error !== null) {
    writeLines(context.err, [failureText(context, shutdown.error)])
  } else {
    writeLines(context.err, ['', 'stopping; once more ends at once'])
  }
  try {
    await (await starting)?.close()
  } catch (error) {
    writeLines(context.err, [failureText(context, error)])
  }
}
