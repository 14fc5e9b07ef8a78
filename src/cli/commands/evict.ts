/** `prefixd evict`: says what would go, asks where somebody can answer, frees, says what went. */
import type { EvictReportJson, EvictRequestJson } from '../../api/native/schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { PrefixdError } from '../../errors.ts'
import type { Client } from '../client.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, writeJson, writeLines } from '../context.ts'
import { usageError } from '../failure.ts'
import { formatPlural } from '../render/count.ts'
import { wrap } from '../render/text.ts'

export interface EvictFlags extends ClientFlags {
  readonly model?: string
  readonly session?: string
  readonly tenant?: string
  readonly namespace?: string
  readonly olderThan?: number
  readonly tier?: 'ram' | 'ssd'
  readonly all?: boolean
  readonly force?: boolean
  readonly dryRun?: boolean
  readonly yes?: boolean
}

export async function evict(
  this: CliContext,
  flags: EvictFlags,
  ...ids: readonly string[]
): Promise<void> {
  const selector = chosen(flags, ids)
  const client = await connect(this, flags)
  if (flags.yes && !flags.dryRun) return carryOut(this, client, selector, flags)

  const preview = await client.evict({ ...selector, dry_run: true })
  if (flags.dryRun) {
    if (flags.json) return writeJson(this.out, preview)
    return writeLines(this.out, wrap(ahead(preview, 'would free', flags), this.out.width))
  }
  refuseKept(preview)
  if (preview.blocks === 0) return report(this, flags, preview)
  const question = `${ahead(preview, 'This frees', flags)}\nEvict? [y/N] `
  const answer = await this.ask(question)
  if (answer === null) {
    throw usageError(
      `${ahead(preview, 'this would free', flags)} Nobody can be asked here.`,
      'add --yes to evict, or --dry-run to look only',
    )
  }
  if (!/^y(es)?$/i.test(answer.trim())) return writeLines(this.err, ['nothing was evicted'])
  return carryOut(this, client, selector, flags)
}

export type ClearFlags = Pick<EvictFlags, 'dryRun' | 'yes' | 'json' | 'url'>

/** Everything in both tiers; the counters stay. */
export function clear(this: CliContext, flags: ClearFlags): Promise<void> {
  return evict.call(this, { ...flags, all: true })
}

/** Exactly one way of choosing, so that no combination can mean more than somebody thought. */
function chosen(flags: EvictFlags, ids: readonly string[]): EvictRequestJson {
  const ways: EvictRequestJson[] = []
  if (ids.length > 0) ways.push({ ids: [...ids] })
  for (const way of ['model', 'session', 'tenant', 'namespace'] as const) {
    if (flags[way] !== undefined) ways.push({ [way]: flags[way] })
  }
  if (flags.olderThan !== undefined) ways.push({ older_than_ms: flags.olderThan })
  if (flags.tier !== undefined) ways.push({ tier: flags.tier })
  if (flags.all) ways.push({ all: true })
  const [only] = ways
  if (only === undefined || ways.length > 1) {
    throw usageError(
      only === undefined ? `say what to evict: ${everyWay}` : `choose in one way only: ${everyWay}`,
      'see what is stored: prefixd ls',
    )
  }
  return flags.force ? { ...only, force: true } : only
}

const everyWay = 'ids, --model, --session, --tenant, --namespace, --older-than, --tier or --all'

async function carryOut(
  context: CliContext,
  client: Client,
  selector: EvictRequestJson,
  flags: EvictFlags,
): Promise<void> {
  const done = await client.evict(selector)
  // A script has the report even so; a person reads the same once.
  if (!flags.json) refuseKept(done)
  report(context, flags, done)
  refuseKept(done)
}

function report(context: CliContext, flags: EvictFlags, done: EvictReportJson): void {
  if (flags.json) writeJson(context.out, done)
  else writeLines(context.out, wrap(sentence(done, 'freed'), context.out.width))
}

/** Nothing of what was chosen may go. */
function refuseKept(report: EvictReportJson): void {
  if (report.blocks > 0) return
  if (report.pinned_blocks > 0) {
    throw new PrefixdError(
      'PREFIXD_E_PREFIX_PINNED',
      `nothing can be evicted: ${formatPlural(report.pinned_blocks, 'block')} pinned`,
      { next: 'unpin them (prefixd pin lists what is pinned), or add --force' },
    )
  }
  if (report.kept_blocks === 0) return
  throw new PrefixdError(
    'PREFIXD_E_PREFIX_IN_USE',
    `nothing can be evicted: ${formatPlural(report.kept_blocks, 'block')} in use by requests`,
    { next: 'wait until they have ended: prefixd ps' },
  )
}

/** Of what has not gone yet; with `--force` the service counts no pin as one that stays. */
function ahead(preview: EvictReportJson, verb: string, { force }: EvictFlags): string {
  const pins = force && preview.blocks > 0 ? ' What is pinned goes too, and its pins with it.' : ''
  return sentence(preview, verb) + pins
}

/** E.g. `freed 1.2 GiB of ram and 3.4 GiB of ssd: 12 prefixes, 480 blocks.` */
function sentence(report: EvictReportJson, verb: string): string {
  const { blocks, kept_blocks: inUse, pinned_blocks: pinned } = report
  if (blocks === 0 && inUse + pinned === 0) return 'Nothing that is stored matches.'
  const kept = staying(inUse, 'block in use', 'blocks in use')
  const held = staying(pinned, 'pinned block', 'pinned blocks')
  if (blocks === 0) return `${verb} nothing.${kept}${held}`
  const { ram, ssd } = report.freed_bytes
  const freed = `${formatSize(ram)} of ram and ${formatSize(ssd)} of ssd`
  const prefixes = formatPlural(report.prefixes, 'prefix', 'prefixes')
  return `${verb} ${freed}: ${prefixes}, ${formatPlural(blocks, 'block')}.${kept}${held}`
}

function staying(count: number, singular: string, plural: string): string {
  return count === 0 ? '' : ` ${formatPlural(count, `${singular} stays`, `${plural} stay`)}.`
}
