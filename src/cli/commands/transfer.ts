/** `prefixd export` and `prefixd import`: prefixes as files that another service can take. */
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ImportReportJson } from '../../api/native/upkeep-schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, writeJson, writeLines } from '../context.ts'
import { Interrupted, usageError } from '../failure.ts'
import { formatPlural } from '../render/count.ts'
import { progressLine } from '../render/progress.ts'
import { printable, wrap } from '../render/text.ts'

export interface ExportFlags extends ClientFlags {
  readonly out: string
}
export interface ImportFlags extends ClientFlags {
  readonly trust?: boolean
}

/** The file gets its name when it is whole. */
export async function exportPrefixes(
  this: CliContext,
  flags: ExportFlags,
  ...ids: readonly string[]
): Promise<void> {
  if (ids.length === 0) {
    throw usageError('say which prefixes to export', 'see what is stored: prefixd ls')
  }
  const path = resolve(this.around.workingDir, flags.out)
  const partial = `${path}.partial`
  const signal = this.interrupted()
  const client = await connect(this, flags, signal)
  const progress = createCount(this, `exporting to ${flags.out}`, null)
  try {
    const bytes = await client.exportFile(ids)
    await pipeline(bytes, progress.through, createWriteStream(partial, { mode: 0o600 }), { signal })
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw signal.aborted ? new Interrupted() : error
  } finally {
    progress.end()
  }
  const sizeBytes = progress.countedBytes()
  if (flags.json) return writeJson(this.out, { file: path, size_bytes: sizeBytes })
  const what = formatPlural(ids.length, 'prefix', 'prefixes')
  writeLines(this.out, [`exported ${what}: ${formatSize(sizeBytes)} in ${printable(flags.out)}`])
}

export async function importPrefixes(
  this: CliContext,
  flags: ImportFlags,
  file: string,
): Promise<void> {
  const path = resolve(this.around.workingDir, file)
  const totalBytes = await sizeOf(path, file)
  const signal = this.interrupted()
  const client = await connect(this, flags, signal)
  const progress = createCount(this, `importing ${file}`, totalBytes)
  const bytes = createReadStream(path).pipe(progress.through)
  try {
    report(this, flags, await client.importFile(bytes, { trust: flags.trust === true }))
  } catch (error) {
    throw signal.aborted ? new Interrupted() : error
  } finally {
    bytes.destroy()
    progress.end()
  }
}

async function sizeOf(path: string, file: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw usageError(
      `${file} could not be opened (${code})`,
      'name a file that `prefixd export` wrote',
    )
  }
}

/** Lets bytes through, and shows how many there were. */
function createCount(context: CliContext, label: string, totalBytes: number | null) {
  const line = progressLine(context.err, label, context.now)
  let receivedBytes = 0
  const through = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      receivedBytes += chunk.length
      line.update({ receivedBytes, totalBytes })
      done(null, chunk)
    },
  })
  return { through, countedBytes: () => receivedBytes, end: () => line.end() }
}

function report(context: CliContext, flags: ImportFlags, done: ImportReportJson): void {
  if (flags.json) {
    writeJson(context.out, done)
    return
  }
  const { stored, present, skipped } = done
  const parts = [
    ...(present === 0 ? [] : [`${formatPlural(present, 'record')} were there already`]),
    ...(skipped === 0 ? [] : [`${formatPlural(skipped, 'record')} found no room`]),
    ...(done.renamed ? ['they have other names here, since the keys differ'] : []),
  ]
  const first = `imported ${formatPlural(stored, 'record')} of ${printable(done.model)}`
  const text = [`${first} (${formatSize(done.size_bytes)})`, ...parts].join('; ')
  writeLines(context.out, wrap(text, context.out.width))
}
