/** One request to the hub, through its redirects, and what its answers mean. */
import type { Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { formatHubRef, type HubRef } from './hub-ref.ts'
import type { RemoteIdentity } from './partial-file.ts'
import { pullError } from './pull-types.ts'

export interface HubRequest {
  readonly ref: HubRef
  readonly base: URL
  readonly token: { readonly value: string; readonly from: string } | null
  readonly maxRedirects: number
  readonly signal: AbortSignal
  /** Continue here, as long as the remote file still has this entity tag. */
  readonly resume: { readonly fromByte: number; readonly etag: string | null } | null
}

export interface HubAnswer {
  readonly response: Response
  readonly identity: RemoteIdentity
  /** First byte of the body within the file; null: the server answers something else. */
  readonly fromByte: number | null
}

/** HF_ENDPOINT, or the public hub. */
export function hubBase({ env }: Surroundings): URL {
  const endpoint = env.HF_ENDPOINT || 'https://huggingface.co'
  const base = URL.canParse(endpoint) ? new URL(endpoint) : null
  if (base !== null && /^https?:$/.test(base.protocol)) return base
  throw new PrefixdError(
    'PREFIXD_E_CONFIG',
    `HF_ENDPOINT must be an http or https URL; it is "${endpoint}".`,
    { field: 'HF_ENDPOINT', next: 'Correct it, or unset it for the public hub.' },
  )
}

function fileUrl(base: URL, { owner, repo, file, revision }: HubRef): URL {
  const segments = [owner, repo, 'resolve', encodeURIComponent(revision), ...encodedSegments(file)]
  return new URL(`${base.pathname.replace(/\/+$/, '')}/${segments.join('/')}`, base)
}

const encodedSegments = (file: string): string[] => file.split('/').map(encodeURIComponent)

/**
 * Asks for the file's bytes. The token goes to the hub's own origin only, and what the hub declares
 * of the file is taken from there only. Throws PREFIXD_E_MODEL_PULL for final answers and passes
 * network errors on.
 */
export async function requestFile(request: HubRequest): Promise<HubAnswer> {
  const { base, ref, signal } = request
  let url = fileUrl(base, ref)
  let sha256: string | null = null
  for (let redirects = 0; redirects <= request.maxRedirects; redirects += 1) {
    const headers = headersFor(request, url)
    const response = await fetch(url, { headers, redirect: 'manual', signal })
    if (url.origin === base.origin) sha256 ??= declaredSha256(response.headers)
    const location = response.headers.get('location')
    if (response.status < 300 || response.status >= 400 || location === null) {
      return readAnswer(response, sha256, request)
    }
    await response.body?.cancel()
    url = nextUrl(url, location, ref)
  }
  throw pullError(
    `The hub redirects ${formatHubRef(ref)} more than ${request.maxRedirects} times.`,
    'Check HF_ENDPOINT, and proxies that ask for a login.',
  )
}

function headersFor({ base, token, resume }: HubRequest, url: URL): Record<string, string> {
  return {
    'user-agent': 'prefixd',
    // A compressed body would make byte positions meaningless.
    'accept-encoding': 'identity',
    ...(token !== null && url.origin === base.origin
      ? { authorization: `Bearer ${token.value}` }
      : {}),
    ...(resume === null ? {} : { range: `bytes=${resume.fromByte}-` }),
    ...(resume?.etag == null ? {} : { 'if-range': resume.etag }),
  }
}

function nextUrl(from: URL, location: string, ref: HubRef): URL {
  const next = URL.canParse(location, from.href) ? new URL(location, from.href) : null
  const weaker = from.protocol === 'https:' && next?.protocol !== 'https:'
  if (next !== null && /^https?:$/.test(next.protocol) && !weaker) return next
  throw pullError(
    `${from.host} redirects ${formatHubRef(ref)} to an address that cannot be used safely.`,
    'Check HF_ENDPOINT, and proxies that ask for a login.',
  )
}

function declaredSha256(headers: Headers): string | null {
  const tag = headers.get('x-linked-etag')?.replaceAll('"', '').toLowerCase() ?? ''
  return /^[0-9a-f]{64}$/.test(tag) ? tag : null
}

function readAnswer(response: Response, sha256: string | null, request: HubRequest): HubAnswer {
  const { headers, status } = response
  const tag = headers.get('etag')
  const etag = tag?.startsWith('"') ? tag : null
  if (status === 200) {
    const length = headers.get('content-length')
    const totalBytes = length === null ? null : Number(length)
    return { response, identity: { etag, sha256, totalBytes }, fromByte: 0 }
  }
  if (status === 206 || status === 416) {
    const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get('content-range') ?? '')
    const totalBytes = range === null ? null : Number(range[2])
    const fromByte = status === 206 && range?.[1] !== undefined ? Number(range[1]) : null
    return { response, identity: { etag, sha256, totalBytes }, fromByte }
  }
  throw refusal(status, headers, request)
}

/** A status that may be another one in a moment. */
export class PassingRefusal extends Error {
  override readonly name = 'PassingRefusal'
  readonly retryAfterMs: number
  constructor(status: number, retryAfterMs: number) {
    super(`the hub answered with status ${status}`)
    this.retryAfterMs = retryAfterMs
  }
}

function refusal(status: number, headers: Headers, { ref, token, base }: HubRequest): Error {
  const name = formatHubRef(ref)
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(headers.get('retry-after') ?? '0')
    return new PassingRefusal(status, Number.isFinite(seconds) ? seconds * 1000 : 0)
  }
  if (status === 401 && token !== null) {
    return pullError(
      `The hub does not accept the token of ${token.from} for ${name} (status 401).`,
      'Replace the token, or unset it for public models.',
    )
  }
  if (status === 401) {
    return pullError(
      `There is no public ${name} (status 401).`,
      'Check the spelling; for a private or gated model set HF_TOKEN.',
    )
  }
  if (status === 403) {
    return pullError(
      `The hub refuses access to ${name} (status 403).`,
      `Accept its licence at ${new URL(`${ref.owner}/${ref.repo}`, base)}, then set HF_TOKEN.`,
    )
  }
  if (status === 404) {
    return pullError(
      `The hub does not have ${name} (status 404).`,
      'Check owner, repository, file name and revision; they are case-sensitive.',
    )
  }
  return pullError(
    `The hub answered with status ${status} for ${name}.`,
    'Try again later, or give --model the path of a GGUF file.',
  )
}
