/** Downloads of single files from the hub: resumable, verified, bounded. */
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Surroundings } from '../config/paths.ts'
import { formatSize } from '../config/sizes.ts'
import type { PrefixdError } from '../errors.ts'
import { formatHubRef, type HubRef } from './hub-ref.ts'
import { type Hub, type HubAnswer, openHub, requestFile } from './hub-request.ts'
import { causeCode, withRetries } from './hub-retry.ts'
import {
  openPartial,
  type PartialFile,
  type RemoteIdentity,
  removePartial,
} from './partial-file.ts'
import {
  type Downloaded,
  diskError,
  type Expected,
  type Patience,
  type PullProgress,
  pullError,
} from './pull-types.ts'

export interface HubDownload {
  readonly ref: HubRef
  /** Grows to the whole file; `<path>.json` stands beside it until it is renamed. */
  readonly partialPath: string
  readonly expected: Expected
  readonly patience: Patience
  readonly around: Surroundings
  readonly signal: AbortSignal
  readonly onProgress: (progress: PullProgress) => void
}

interface Running extends HubDownload, Hub {
  readonly partial: PartialFile
}

/**
 * Downloads the file, continuing where an earlier call was cut, and verifies it: against the pinned
 * digest, or else against the one that the hub declares. Throws PREFIXD_E_MODEL_PULL, or the
 * signal's reason; what can be resumed stays on disk then, what is wrong does not.
 */
export async function downloadFromHub(download: HubDownload): Promise<Downloaded> {
  const { around, partialPath, patience, ref, signal } = download
  signal.throwIfAborted()
  const hub = await openHub(around)
  const partial = await openPartial(partialPath, formatHubRef(ref), patience.pullSyncBytes).catch(
    (error: unknown) => {
      throw diskError(error, partialPath)
    },
  )
  let wrong = false
  try {
    const running = { ...download, ...hub, partial }
    await receiveAll(running)
    const sha256 = await partial.finish()
    wrong = !isExpected(running, sha256)
    if (wrong) throw wrongDigest(ref, sha256)
    return { path: partialPath, sizeBytes: partial.receivedBytes(), sha256 }
  } finally {
    // A failing sync loses nothing that the record vouches for; the first error is the one to tell.
    await partial.close().catch(() => {})
    if (wrong || partial.receivedBytes() === 0) await removePartial(partialPath)
  }
}

const isExpected = ({ expected, partial }: Running, sha256: string): boolean =>
  sha256 === (expected.sha256 ?? partial.identity()?.sha256 ?? sha256)

const wrongDigest = (ref: HubRef, sha256: string): PrefixdError =>
  pullError(
    `What the hub sent for ${formatHubRef(ref)} has the wrong digest (sha256 ${sha256}).`,
    'Try again; if it stays wrong, do not use this source.',
  )

const receiveAll = (running: Running): Promise<true> =>
  withRetries(running, running.partial.receivedBytes, async () => {
    try {
      return (await receiveOnce(running)) || null
    } catch (error) {
      throw isDiskFull(error) ? diskError(error, running.partialPath) : error
    }
  })

/** One connection. True: the file is whole; false: what was there belonged to another version. */
async function receiveOnce(running: Running): Promise<boolean> {
  const { partial, signal } = running
  const silence = new AbortController()
  const deadline = setTimeout(
    () => silence.abort(new Error(`no byte for ${running.patience.pullSilenceMs} ms`)),
    running.patience.pullSilenceMs,
  )
  try {
    const answer = await requestFile({
      ...running,
      maxRedirects: running.patience.pullRedirects,
      resume: resumePoint(partial),
      signal: AbortSignal.any([signal, silence.signal]),
    })
    if (!(await accept(running, answer))) {
      await answer.response.body?.cancel()
      return false
    }
    const totalBytes = partial.identity()?.totalBytes ?? null
    const report = () => running.onProgress({ receivedBytes: partial.receivedBytes(), totalBytes })
    report()
    for await (const chunk of answer.response.body ?? []) {
      deadline.refresh()
      await partial.append(chunk)
      report()
    }
    return totalBytes === null || partial.receivedBytes() === totalBytes
  } finally {
    clearTimeout(deadline)
  }
}

function resumePoint(partial: PartialFile) {
  const identity = partial.identity()
  const fromByte = partial.receivedBytes()
  // Without a tag or a digest nobody could say that the rest belongs to the same file.
  const isSafe = identity !== null && (identity.etag !== null || identity.sha256 !== null)
  return fromByte > 0 && isSafe ? { fromByte, etag: identity.etag } : null
}

/** Makes the partial file ready for the body of this answer; false: ask again from the start. */
async function accept(running: Running, answer: HubAnswer): Promise<boolean> {
  const { partial, expected, ref } = running
  const { identity, fromByte } = answer
  refuseWrongVersion(ref, expected, identity)
  if (fromByte === null && isWhole(partial, identity)) {
    // Everything had arrived already; the server has nothing left to send.
    await answer.response.body?.cancel()
    return true
  }
  if (fromByte === 0) {
    await partial.restart(identity)
  } else if (fromByte !== partial.receivedBytes() || !isSame(partial.identity(), identity)) {
    await partial.restart(null)
    return false
  }
  await refuseFullDisk(running)
  return true
}

const isWhole = (partial: PartialFile, identity: RemoteIdentity): boolean =>
  partial.receivedBytes() > 0 &&
  partial.receivedBytes() === identity.totalBytes &&
  isSame(partial.identity(), identity)

function isSame(known: RemoteIdentity | null, now: RemoteIdentity): boolean {
  const agree = <T>(a: T | null | undefined, b: T | null): boolean =>
    a == null || b === null || a === b
  return (
    agree(known?.sha256, now.sha256) &&
    agree(known?.totalBytes, now.totalBytes) &&
    // Where the hub declares the digest, the tags of its delivery network may come and go.
    (known?.sha256 != null && now.sha256 !== null ? true : agree(known?.etag, now.etag))
  )
}

function refuseWrongVersion(ref: HubRef, expected: Expected, now: RemoteIdentity): void {
  const wrongSha256 =
    expected.sha256 !== null && now.sha256 !== null && expected.sha256 !== now.sha256
  const wrongSize =
    expected.sizeBytes !== null && now.totalBytes !== null && expected.sizeBytes !== now.totalBytes
  if (!wrongSha256 && !wrongSize) return
  const what = wrongSha256
    ? `sha256 ${now.sha256}, not ${expected.sha256}`
    : `${now.totalBytes} bytes, not ${expected.sizeBytes}`
  throw pullError(
    `The hub's ${formatHubRef(ref)} is another file than the pinned one (${what}).`,
    'Nothing was downloaded; prefixd only takes the file that it was tested with.',
  )
}

function refuseFullDisk({ partial, partialPath }: Running): Promise<void> {
  const totalBytes = partial.identity()?.totalBytes ?? 0
  return refuseWithoutRoom(dirname(partialPath), totalBytes - partial.receivedBytes())
}

/** Throws PREFIXD_E_MODEL_PULL where a folder's disk has not so much room. */
export async function refuseWithoutRoom(folder: string, missingBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize >= missingBytes) return
  throw pullError(
    `The model needs ${formatSize(missingBytes)} more, but ${folder} has only ` +
      `${formatSize(bavail * bsize)} free.`,
    'Free some space, or set PREFIXD_MODELS_DIR to a larger disk.',
    Object.assign(new Error('no space'), { code: 'ENOSPC' }),
  )
}

const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'].includes(causeCode(error) ?? '')
