/** Downloads of single files from the hub: resumable, verified, bounded. */
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Surroundings } from '../config/paths.ts'
import { formatSize } from '../config/sizes.ts'
import { PrefixdError } from '../errors.ts'
import { formatHubRef, type HubRef } from './hub-ref.ts'
import { type HubAnswer, hubBase, PassingRefusal, requestFile } from './hub-request.ts'
import { hubToken } from './hub-token.ts'
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

interface Running extends HubDownload {
  readonly partial: PartialFile
  readonly base: URL
  readonly token: Awaited<ReturnType<typeof hubToken>>
}

/**
 * Downloads the file, continuing where an earlier call was cut, and verifies it: against the pinned
 * digest, or else against the one that the hub declares. Throws PREFIXD_E_MODEL_PULL, or the
 * signal's reason; what can be resumed stays on disk then, what is wrong does not.
 */
export async function downloadFromHub(download: HubDownload): Promise<Downloaded> {
  const { around, partialPath, patience, ref, signal } = download
  signal.throwIfAborted()
  if (around.env.HF_HUB_OFFLINE && around.env.HF_HUB_OFFLINE !== '0') {
    throw pullError('HF_HUB_OFFLINE forbids pulling from the hub.', 'Unset it, and try again.')
  }
  const base = hubBase(around)
  const token = await hubToken(around)
  const partial = await openPartial(partialPath, formatHubRef(ref), patience.pullSyncBytes).catch(
    (error: unknown) => {
      throw diskError(error, partialPath)
    },
  )
  let wrong = false
  try {
    const running = { ...download, partial, base, token }
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

async function receiveAll(running: Running): Promise<void> {
  const { partial, patience, signal } = running
  let fruitless = 0
  for (let tries = 1; ; tries += 1) {
    const before = partial.receivedBytes()
    let failure: unknown
    try {
      if (await receiveOnce(running)) return
      failure = new Error('the remote file changed')
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof PrefixdError) throw error
      if (isDiskFull(error)) throw diskError(error, running.partialPath)
      failure = error
    }
    fruitless = partial.receivedBytes() > before ? 0 : fruitless + 1
    const allowed = isUnreachable(failure)
      ? patience.pullUnreachableTries
      : patience.pullFruitlessTries
    if (fruitless >= allowed || tries >= patience.pullTries) throw gaveUp(running, failure)
    await delay(backoffMs(patience, fruitless, failure), undefined, { signal })
  }
}

function backoffMs(patience: Patience, fruitless: number, failure: unknown): number {
  const asked = failure instanceof PassingRefusal ? failure.retryAfterMs : 0
  const doubled = patience.pullBackoffMinMs * 2 ** Math.max(0, fruitless - 1)
  return Math.min(Math.max(doubled, asked), patience.pullBackoffMaxMs)
}

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

async function refuseFullDisk({ partial, partialPath }: Running): Promise<void> {
  const totalBytes = partial.identity()?.totalBytes ?? 0
  const { bavail, bsize } = await statfs(dirname(partialPath))
  const missingBytes = totalBytes - partial.receivedBytes()
  if (bavail * bsize >= missingBytes) return
  throw pullError(
    `The model needs ${formatSize(missingBytes)} more, but ${dirname(partialPath)} has only ` +
      `${formatSize(bavail * bsize)} free.`,
    'Free some space, or set PREFIXD_MODELS_DIR to a larger disk.',
    Object.assign(new Error('no space'), { code: 'ENOSPC' }),
  )
}

const causeCode = (error: unknown): string | undefined => {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } }
  const found = code ?? cause?.code
  return typeof found === 'string' ? found : undefined
}

const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'].includes(causeCode(error) ?? '')

const unreachableCodes = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** No connection at all: trying five times would only keep somebody waiting. */
const isUnreachable = (error: unknown): boolean => {
  const code = causeCode(error) ?? ''
  return unreachableCodes.has(code) || code.startsWith('CERT_') || code.includes('CERTIFICATE')
}

function gaveUp({ base, partial, ref }: Running, failure: unknown): PrefixdError {
  const code = causeCode(failure)
  if (isUnreachable(failure)) {
    return pullError(
      `The hub at ${base.host} cannot be reached (${code}).`,
      'Check the network and HF_ENDPOINT (behind a proxy also set NODE_USE_ENV_PROXY=1), ' +
        'or give --model the path of a GGUF file.',
      failure,
    )
  }
  const why = code ?? (failure instanceof Error ? failure.message : String(failure))
  return pullError(
    `The download of ${formatHubRef(ref)} broke off after ` +
      `${formatSize(partial.receivedBytes())} (${why}).`,
    'Try again: it goes on where it stopped.',
    failure,
  )
}
