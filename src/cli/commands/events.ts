/** `prefixd events`: what comes into the tiers and leaves them, as it happens. */
import type { CacheEventJson } from '../../api/native/events-schema.ts'
import { PrefixdError } from '../../errors.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeLines } from '../context.ts'
import { Interrupted } from '../failure.ts'
import { formatCount, formatPlural } from '../render/count.ts'
import { formatClock } from '../render/duration.ts'
import { printable } from '../render/text.ts'

/** Until Ctrl-C, or until the service ends. */
export async function events(this: CliContext, flags: ClientFlags): Promise<void> {
  const signal = this.interrupted()
  const client = await connect(this, flags, signal)
  try {
    for await (const event of client.events()) {
      if (flags.json) this.out.write(`${JSON.stringify(event)}\n`)
      else writeLines(this.out, [eventLine(this, event)])
    }
  } catch (error) {
    if (signal.aborted) throw new Interrupted()
    throw error
  }
  throw new PrefixdError(
    'PREFIXD_E_UNREACHABLE',
    `the service at ${client.url.origin} has ended, and its events with it`,
    { next: 'start it with `prefixd serve`, and follow it again' },
  )
}

function eventLine({ out }: CliContext, event: CacheEventJson): string {
  const time = style(out, 'dim', formatClock(event.at_ms))
  if (event.type === 'AllBlocksCleared') return `${time}  cleared  nothing is stored any more`
  if (event.type === 'EventsMissed') {
    return `${time}  missed   ${formatPlural(event.count, 'event')} came faster than they were read`
  }
  const { medium, kind, model, block_hashes: hashes } = event
  const of = kind === 'kv' ? '' : ` (${kind})`
  const blocks = `${formatPlural(hashes.length, 'block')}${of}`
  const tokens = event.type === 'BlockStored' ? `, ${formatCount(event.token_count)} tokens` : ''
  const verb = event.type === 'BlockStored' ? 'stored ' : 'removed'
  const first = `${(hashes[0] ?? '').slice(0, shownHash)}${hashes.length > 1 ? '…' : ' '}`
  return [time, verb, medium, first, printable(model), `${blocks}${tokens}`].join('  ')
}

/** As long as ids are shown. */
const shownHash = 12
