/** One request to the hub, through its redirects, and what its answers mean. */
import type { Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { formatHubRef, type HubPlace, type HubRef, type HubRepo } from './hub-ref.ts'
import { hubToken } from './hub-token.ts'
import type { RemoteIdentity } from './partial-file.ts'
import { pullError } from './pull-types.ts'

/** Where the hub is, and what it is told of the person who asks. */
export interface Hub {
  readonly base: URL
  readonly token: { readonly value: string; readonly from: string } | null
}

interface Asking extends Hub {
  readonly ref: HubPlace
  readonly maxRedirects: number
  readonly signal: AbortSignal
}

export interface HubRequest extends Asking {
  readonly ref: HubRef
  /** Continue here, as long as the remote file still has this entity tag. */
  readonly resume: { readonly fromByte: number; readonly etag: string | null } | null
}

export interface HubAnswer {
  readonly response: Response
  readonly identity: RemoteIdentity
  /** First byte of the body within the file; null: the server answers something else. */
  readonly fromByte: number | null
}

/** Throws PREFIXD_E_MODEL_PULL where nothing may be asked, and PREFIXD_E_CONFIG. */
export async function openHub(around: Surroundings): Promise<Hub> {
  if (around.env.HF_HUB_OFFLINE && around.env.HF_HUB_OFFLINE !== '0') {
    throw pullError('HF_HUB_OFFLINE forbids pulling from the hub.', 'Unset it, and try again.')
  }
  return { base: hubBase(around), token: await hubToken(around) }
}

/** HF_ENDPOINT, or the public hub. */
function hubBase({ env }: Surroundings): URL {
  const endpoint = env.HF_ENDPOINT || 'https://huggingface.co'
  const base = URL.canParse(endpoint) ? new URL(endpoint) : null
  if (base !== null && /^https?:$/.test(base.protocol)) return base
  throw new PrefixdError(
    'PREFIXD_E_CONFIG',
    `HF_ENDPOINT must be an http or https URL; it is "${endpoint}".`,
    { field: 'HF_ENDPOINT', next: 'Correct it, or unset it for the public hub.' },
  )
}

function urlOf(base: URL, segments: readonly string[]): URL {
  return new URL(`${base.pathname.replace(/\/+$/, '')}/${segments.join('/')}`, base)
}

const fileUrl = (base: URL, { owner, repo, file, revision }: HubRef): URL =>
  urlOf(base, [
    ...[owner, repo, 'resolve', encodeURIComponent(revision)],
    ...file.split('/').map(encodeURIComponent),
  ])

const listingUrl = (base: URL, { owner, repo, revision }: HubRepo): URL =>
  new URL(
    '?blobs=true',
    urlOf(base, ['api', 'models', owner, repo, 'revision', encodeURIComponent(revision)]),
  )

/**
 * Asks for the file's bytes. The token goes to the hub's own origin only, and what the hub declares
 * of the file is taken from there only. Throws PREFIXD_E_MODEL_PULL for final answers and passes
 * network errors on.
 */
export async function requestFile(request: HubRequest): Promise<HubAnswer> {
  const { response, sha256 } = await follow(request, fileUrl(request.base, request.ref))
  return readAnswer(response, sha256, request)
}

/** Asks which files a repository has. Throws as `requestFile` does. */
export async function requestListing(asking: Asking): Promise<Response> {
  const { response } = await follow(asking, listingUrl(asking.base, asking.ref))
  if (response.status === 200) return response
  await response.body?.cancel()
  throw refusal(response.status, response.headers, asking)
}

type Resuming = Asking & Partial<Pick<HubRequest, 'resume'>>

interface Followed {
  readonly response: Response
  readonly sha256: string | null
}

async function follow(asking: Resuming, first: URL): Promise<Followed> {
  const { base, ref, signal } = asking
  let url = first
  let sha256: string | null = null
  for (let redirects = 0; redirects <= asking.maxRedirects; redirects += 1) {
    const headers = headersFor(asking, url)
    const response = await fetch(url, { headers, redirect: 'manual', signal })
    if (url.origin === base.origin) sha256 ??= declaredSha256(response.headers)
    const location = response.headers.get('location')
    if (response.status < 300 || response.status >= 400 || location === null) {
      return { response, sha256 }
    }
    await response.body?.cancel()
    url = nextUrl(url, location, ref)
  }
  throw pullError(
    `The hub redirects ${formatHubRef(ref)} more than ${asking.maxRedirects} times.`,
    'Check HF_ENDPOINT, and proxies that ask for a login.',
  )
}

function headersFor({ base, token, resume = null }: Resuming, url: URL): Record<string, string> {
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

function nextUrl(from: URL, location: string, ref: HubPlace): URL {
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

function refusal(status: number, headers: Headers, { ref, token, base }: Asking): Error {
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
