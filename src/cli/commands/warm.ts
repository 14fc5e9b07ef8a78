/** `prefixd warm`: has prompts computed and stored before anybody waits for them. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { WarmReportJson } from '../../api/native/upkeep-schema.ts'
import { limits } from '../../config/limits.ts'
import { formatSize } from '../../config/sizes.ts'
import { PrefixdError } from '../../errors.ts'
import type { Dialect } from '../../pipeline/types.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { Interrupted, usageError } from '../failure.ts'
import { formatCount } from '../render/count.ts'
import { formatDuration } from '../render/duration.ts'
import { shareLine } from '../render/share-line.ts'
import { printable, wrap } from '../render/text.ts'

export interface WarmFlags extends ClientFlags {
  readonly file?: string
  readonly dir?: string
  readonly dialect?: Dialect
}

interface Warmed {
  readonly file: string
  readonly receipt: WarmReportJson | null
  /** What the service, or the file, had against it. */
  readonly error: string | null
}

/** A body that is refused ends nothing: the others are sent all the same. */
export async function warm(this: CliContext, flags: WarmFlags): Promise<void> {
  const files = filesOf(flags, this.around.workingDir)
  const signal = this.interrupted()
  const client = await connect(this, flags, signal)
  const line = shareLine(this.err, 'warming')
  const all: Warmed[] = []
  try {
    for (const file of files) {
      line.update({ done: all.length, total: files.length })
      all.push(await warmOne(file, (body) => client.warm(body, flags.dialect ?? null)))
      line.end()
      if (!flags.json) writeLines(this.out, lineOf(this, all.at(-1) as Warmed))
    }
  } catch (error) {
    throw signal.aborted ? new Interrupted() : error
  } finally {
    line.end()
  }
  if (flags.json) writeJson(this.out, { warmed: all })
  const refused = all.filter(({ error }) => error !== null).length
  if (refused === 0) return
  throw new PrefixdError('PREFIXD_E_INVALID_VALUE', `${refused} of ${all.length} were refused`, {
    next: 'correct what their lines say; a body is what a client sends, as JSON',
  })
}

function filesOf({ file, dir }: WarmFlags, workingDir: string): string[] {
  if ((file === undefined) === (dir === undefined)) {
    throw usageError('say either --file or --dir', 'prefixd warm --file body.json')
  }
  if (file !== undefined) return [resolve(workingDir, file)]
  const folder = resolve(workingDir, dir ?? '')
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
    if (names.length > 0) return names.sort().map((name) => join(folder, name))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw usageError(`${dir} could not be opened (${code})`, 'name a folder with --dir')
  }
  throw usageError(`${dir} has no file that ends in .json`, 'put a request body into each file')
}

async function warmOne(
  path: string,
  send: (body: object) => Promise<WarmReportJson>,
): Promise<Warmed> {
  const file = path.slice(path.lastIndexOf('/') + 1)
  try {
    return { file, receipt: await send(readBody(path)), error: null }
  } catch (error) {
    const isRefused = error instanceof PrefixdError && error.code !== 'PREFIXD_E_UNREACHABLE'
    if (!isRefused) throw error
    return { file, receipt: null, error: error.message }
  }
}

function readBody(path: string): object {
  const refuse = (why: string): PrefixdError =>
    new PrefixdError('PREFIXD_E_INVALID_VALUE', `${path} ${why}`)
  let text: string
  try {
    const { size } = statSync(path)
    if (size > limits.bodyBytes) throw refuse(`has more than ${formatSize(limits.bodyBytes)}`)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof PrefixdError) throw error
    throw refuse(`could not be opened (${(error as NodeJS.ErrnoException).code})`)
  }
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null) return body
  } catch {}
  throw refuse('is no JSON object')
}

function lineOf({ out }: CliContext, { file, receipt, error }: Warmed): string[] {
  const name = printable(file)
  if (receipt === null) {
    return wrap(`${name}  ${style(out, 'red', 'refused')}  ${printable(error ?? '')}`, out.width)
  }
  const { tokens, ms, prefix } = receipt.cache
  const took = ms.prefill + ms.restore + ms.queue + ms.load
  const counts =
    `${formatCount(tokens.computed)} computed, ${formatCount(tokens.restored)} restored, ` +
    `${formatCount(tokens.saved)} saved`
  const stored = prefix === null ? '' : `  prefix ${prefix}`
  return wrap(`${name}  ${counts}  ${formatDuration(took)}${stored}`, out.width)
}
