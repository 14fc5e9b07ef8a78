/** `prefixd verify`: says what is not as it was stored, and with `--repair` mends it. */
import type { FindingJson, VerifyEventJson } from '../../api/native/upkeep-schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { kindOf, PrefixdError } from '../../errors.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { Interrupted } from '../failure.ts'
import { formatPlural } from '../render/count.ts'
import { shareLine } from '../render/share-line.ts'
import { printable, wrap } from '../render/text.ts'
import { loadWithFlags } from '../setting-flags.ts'

export interface VerifyFlags extends ClientFlags {
  readonly repair?: boolean
  readonly offline?: boolean
  readonly dir?: string
  readonly 'encrypt-key-file'?: string
}

type Done = Extract<VerifyEventJson, { type: 'done' }>

export async function verify(this: CliContext, flags: VerifyFlags): Promise<void> {
  const signal = this.interrupted()
  const line = shareLine(this.err, 'verifying')
  const findings: FindingJson[] = []
  let done: Done | null = null
  try {
    for await (const event of eventsOf(this, flags, signal)) {
      // A generator that asks no network hears of Ctrl-C here.
      signal.throwIfAborted()
      if (event.type === 'progress') {
        line.update({ done: event.records, total: event.total_records })
      }
      if (event.type === 'done') done = event
      if (event.type !== 'finding') continue
      findings.push(event)
      line.end()
      if (!flags.json) writeLines(this.out, findingLines(this, event))
    }
  } catch (error) {
    if (signal.aborted) throw new Interrupted()
    throw advised(error, flags)
  } finally {
    line.end()
  }
  if (done !== null) report(this, flags, done, findings)
}

async function* eventsOf(
  context: CliContext,
  flags: VerifyFlags,
  signal: AbortSignal,
): AsyncGenerator<VerifyEventJson> {
  const repair = flags.repair === true
  if (!flags.offline) {
    yield* (await connect(context, flags, signal)).verify({ repair })
    return
  }
  const { dir, 'encrypt-key-file': keyFile } = flags
  const { config } = await loadWithFlags(context, { dir, 'encrypt-key-file': keyFile })
  const { verifyOffline } = await context.loadService()
  const { err } = context
  const warn = (message: string): void =>
    writeLines(err, [`${style(err, 'yellow', 'note')}   ${printable(message)}`])
  yield* verifyOffline(config, { repair, warn })
}

/** Whichever of the two ways was not possible, the other one may be. */
function advised(error: unknown, { offline, repair }: VerifyFlags): unknown {
  const { prefixdCode } = kindOf(error)
  const command = `prefixd verify${repair ? ' --repair' : ''}`
  const { message } = error as Error
  if (prefixdCode === 'PREFIXD_E_UNREACHABLE' && !offline) {
    return new PrefixdError(prefixdCode, message, {
      next: `verify the directory itself: ${command} --offline`,
      cause: error,
    })
  }
  if (prefixdCode === 'PREFIXD_E_CACHE_LOCKED' && offline) {
    return new PrefixdError(prefixdCode, message, {
      next: `let that service verify it: ${command}`,
      cause: error,
    })
  }
  return error
}

function findingLines(
  { out }: CliContext,
  { kind, block, record, what, mended }: FindingJson,
): string[] {
  const where = block === null ? '' : `block ${block}${record === 'kv' ? '' : ` ${record}`}: `
  const text = `${where}${what}${mended ? (kind === 'leak' ? '; freed' : '; mended') : ''}`
  const label = style(out, kind === 'leak' ? 'yellow' : 'red', pad(kind))
  const [first = '', ...rest] = wrap(printable(text), out.width - labelCells)
  return [`${label}${first}`, ...rest.map((line) => `${' '.repeat(labelCells)}${line}`)]
}

const labelCells = 12
const pad = (kind: string): string => kind.padEnd(labelCells)

function report(
  context: CliContext,
  flags: VerifyFlags,
  done: Done,
  findings: readonly FindingJson[],
): void {
  const { corrupt, removed_records: removed } = done
  const looked = `${formatPlural(done.records, 'record')}, ${formatSize(done.size_bytes)}`
  if (flags.json) {
    const { type: _, ...counts } = done
    writeJson(context.out, { ...counts, findings: findings.map(({ type: _, ...rest }) => rest) })
  } else {
    const found = done.findings === 0 ? 'all is as it was stored' : sumOf(done)
    const gone = removed === 0 ? '' : `; ${formatPlural(removed, 'record')} taken out`
    writeLines(context.out, wrap(`${looked}: ${found}${gone}`, context.out.width))
  }
  if (corrupt === 0) return
  throw new PrefixdError(
    'PREFIXD_E_DAMAGE_FOUND',
    `${formatPlural(corrupt, 'thing')} stored ${corrupt === 1 ? 'is' : 'are'} damaged`,
    {
      next: flags.repair
        ? afterRepair(removed, findings)
        : `mend it: prefixd verify --repair${flags.offline ? ' --offline' : ''}`,
    },
  )
}

/** With an index that was set aside goes what it named, and nobody can count that. */
function afterRepair(removed: number, findings: readonly FindingJson[]): string {
  return removed > 0 || findings.some(({ kind }) => kind === 'index')
    ? 'nothing more: what was taken out is computed again when it is asked for'
    : 'nothing more: it is mended, and nothing had to be taken out'
}

function sumOf({ findings, corrupt }: Done): string {
  const leaks = findings - corrupt
  const parts = [
    ...(corrupt === 0 ? [] : [`${corrupt} damaged`]),
    ...(leaks === 0 ? [] : [formatPlural(leaks, 'leak')]),
  ]
  return parts.join(', ')
}
