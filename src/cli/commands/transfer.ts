/** `prefixd export` and `prefixd import`: prefixes as files that another service can take. */
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ImportReportJson } from '../../api/native/upkeep-schema.ts'
import { fileFault, isSystemError } from '../../config/file-fault.ts'
import { formatSize } from '../../config/sizes.ts'
import type { PrefixdError } from '../../errors.ts'
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
  const signal = this.interrupted()
  const client = await connect(this, flags, signal)
  const partial = await begun(path, flags.out)
  const progress = createCount(this, `exporting to ${flags.out}`, null)
  try {
    const bytes = await client.exportFile(ids)
    await pipeline(progress.counted(bytes), partial.createWriteStream(), { signal })
    await rename(partialOf(path), path)
  } catch (error) {
    await partial.close()
    await rm(partialOf(path), { force: true })
    if (signal.aborted) throw new Interrupted()
    throw isSystemError(error) ? unwritable(flags.out, error) : error
  } finally {
    progress.end()
  }
  const sizeBytes = progress.countedBytes()
  if (flags.json) return writeJson(this.out, { file: path, size_bytes: sizeBytes })
  const what = formatPlural(ids.length, 'prefix', 'prefixes')
  writeLines(this.out, [`exported ${what}: ${formatSize(sizeBytes)} in ${printable(flags.out)}`])
}

const partialOf = (path: string): string => `${path}.partial`

/** Opened before anything is asked for, so that nobody waits for bytes that cannot be kept. */
async function begun(path: string, out: string): Promise<FileHandle> {
  try {
    const there = await stat(path).catch(() => null)
    if (there?.isDirectory()) throw folder()
    // A file would take its place, also that of /dev/null.
    if (there?.isFile() === false) throw new Error('it is a device or a pipe')
    return await open(partialOf(path), 'w', 0o600)
  } catch (error) {
    throw unwritable(out, error)
  }
}

const folder = (): Error => Object.assign(new Error('it is a folder'), { code: 'EISDIR' })

function unwritable(out: string, cause: unknown): PrefixdError {
  const isNowhere = (cause as NodeJS.ErrnoException).code === 'ENOENT'
  const why = isNowhere ? 'there is no such folder' : fileFault(cause)
  return usageError(
    `--out ${out} could not be written: ${why}`,
    'name a file in a folder that is there, on a disk with room for it',
  )
}

export async function importPrefixes(
  this: CliContext,
  flags: ImportFlags,
  file: string,
): Promise<void> {
  const source = await openSource(resolve(this.around.workingDir, file), file)
  const signal = this.interrupted()
  const progress = createCount(this, `importing ${file}`, source.totalBytes)
  try {
    const client = await connect(this, flags, signal)
    const bytes = progress.counted(source.bytes)
    report(this, flags, await client.importFile(bytes, { trust: flags.trust === true }))
  } catch (error) {
    if (signal.aborted) throw new Interrupted()
    // The service has seen a file that breaks off, and cannot know why.
    throw source.bytes.errored === null ? error : unreadable(file, source.bytes.errored)
  } finally {
    source.bytes.destroy()
    progress.end()
  }
}

interface Source {
  readonly bytes: Readable
  /** Null: of a pipe nobody knows. */
  readonly totalBytes: number | null
}

async function openSource(path: string, file: string): Promise<Source> {
  try {
    const there = await stat(path)
    if (there.isDirectory()) throw folder()
    const bytes = (await open(path)).createReadStream()
    return { bytes, totalBytes: there.isFile() ? there.size : null }
  } catch (error) {
    throw unreadable(file, error)
  }
}

const unreadable = (file: string, cause: unknown): PrefixdError =>
  usageError(
    `${file} could not be read: ${fileFault(cause)}`,
    'name a file that `prefixd export` wrote',
  )

/** Lets bytes through, and shows on a terminal how many there were. */
function createCount(context: CliContext, label: string, totalBytes: number | null) {
  const line = context.err.isTTY ? progressLine(context.err, label, context.now) : null
  let receivedBytes = 0
  async function* counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      receivedBytes += chunk.length
      line?.update({ receivedBytes, totalBytes })
      yield chunk
    }
  }
  return { counted, countedBytes: () => receivedBytes, end: () => line?.end() }
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
