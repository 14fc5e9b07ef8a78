/** Which files of a repository are needed for an MLX model, at one commit. */
import { limits } from '../config/limits.ts'
import type { Surroundings } from '../config/paths.ts'
import type { PrefixdError } from '../errors.ts'
import { formatHubRef, type HubRepo } from './hub-ref.ts'
import { openHub, requestListing } from './hub-request.ts'
import { withRetries } from './hub-retry.ts'
import { isMlxFile, mlxFault } from './mlx-folder.ts'
import { type Patience, pullError } from './pull-types.ts'

export interface HubFile {
  readonly name: string
  readonly sizeBytes: number
  /** Of large files, which the hub keeps by their content; null for others. */
  readonly sha256: string | null
}

export interface HubListing {
  /** The commit that the branch or tag names now: later files come from the same one. */
  readonly commit: string
  readonly files: readonly HubFile[]
}

export interface ListingOptions {
  readonly around: Surroundings
  readonly patience: Patience
  readonly signal: AbortSignal
}

/** Throws PREFIXD_E_MODEL_PULL, also for a repository without an MLX model. */
export async function listRepository(repo: HubRepo, options: ListingOptions): Promise<HubListing> {
  const { patience, signal } = options
  const hub = await openHub(options.around)
  const asked = { ...hub, ref: repo, patience, signal }
  const text = await withRetries(asked, nothingReceived, async () => {
    const silence = AbortSignal.timeout(patience.pullSilenceMs)
    const response = await requestListing({
      ...asked,
      maxRedirects: patience.pullRedirects,
      signal: AbortSignal.any([signal, silence]),
    })
    return textOf(response, repo)
  })
  const listing = parseListing(text)
  if (listing === null) {
    throw pullError(
      `The hub's list of the files of ${formatHubRef(repo)} makes no sense.`,
      'Check HF_ENDPOINT, and proxies that ask for a login.',
    )
  }
  refuseOtherKinds(repo, listing)
  return { ...listing, files: listing.files.filter(({ name }) => isMlxFile(name)) }
}

const nothingReceived = (): number => 0

async function textOf(response: Response, repo: HubRepo): Promise<string> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length
    if (sizeBytes > limits.hubListingBytes) {
      throw pullError(
        `The hub's list of the files of ${formatHubRef(repo)} is longer than ` +
          `${limits.hubListingBytes} bytes.`,
        'Download the folder yourself, and give --model its path.',
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

interface Sibling {
  readonly rfilename?: unknown
  readonly size?: unknown
  readonly lfs?: { readonly sha256?: unknown } | null
}

function parseListing(text: string): HubListing | null {
  try {
    const { sha, siblings } = JSON.parse(text) as { sha?: unknown; siblings?: readonly Sibling[] }
    if (!/^[0-9a-f]{40}$/.test(String(sha)) || !Array.isArray(siblings)) return null
    const files = siblings.map(fileOf)
    return files.includes(null) ? null : { commit: String(sha), files: files as HubFile[] }
  } catch {
    return null
  }
}

function fileOf({ rfilename: name, size, lfs }: Sibling): HubFile | null {
  if (typeof name !== 'string' || !Number.isSafeInteger(size) || Number(size) < 0) return null
  const sha256 = lfs?.sha256 == null ? null : String(lfs.sha256)
  if (sha256 !== null && !/^[0-9a-f]{64}$/.test(sha256)) return null
  return { name, sizeBytes: Number(size), sha256 }
}

function refuseOtherKinds(repo: HubRepo, { files }: HubListing): void {
  const names = files.map(({ name }) => name)
  const fault = mlxFault(names.filter(isMlxFile))
  if (fault === null) return
  const ggufs = names.filter((name) => /\.gguf$/i.test(name)).slice(0, limits.listedNames)
  throw noMlxModel(repo, fault, ggufs)
}

const noMlxModel = (repo: HubRepo, fault: string, ggufs: readonly string[]): PrefixdError =>
  pullError(
    `${formatHubRef(repo)} is no MLX model: it ${fault}.`,
    ggufs.length > 0
      ? `It has GGUF files for llama.cpp; pull one: ${ggufs
          .map((file) => formatHubRef({ ...repo, file }))
          .join(', ')}.`
      : 'Choose a repository with safetensors, such as one of mlx-community.',
  )
