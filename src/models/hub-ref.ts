import { createHash } from 'node:crypto'
import { PrefixdError } from '../errors.ts'

/** One repository of the hub at one revision. */
export interface HubRepo {
  readonly owner: string
  readonly repo: string
  readonly revision: string
}

/** One file of it. */
export interface HubRef extends HubRepo {
  /** Path inside the repository, e.g. `Q4/model.gguf`. */
  readonly file: string
}

/** What a reference names: with a file or without one. */
export type HubPlace = HubRepo & { readonly file?: string }

export const isHubRef = (spec: string): boolean => /^hf:/i.test(spec)

const form = /^hf:([\w.-]{1,96})\/([\w.-]{1,96})(?:\/(.{1,400}?\.gguf))?(?:@(.{1,200}))?$/i

/**
 * Reads `hf:owner/repo/file.gguf[@revision]`, and `hf:owner/repo[@revision]`, which is a whole
 * repository with an MLX model. Throws PREFIXD_E_INVALID_VALUE.
 */
export function parseHubRef(spec: string): HubRef | HubRepo {
  const [, owner, repo, file, revision = 'main'] = form.exec(spec) ?? []
  if (owner === undefined || repo === undefined) {
    throw refused(spec, 'it is not of the form hf:owner/repo/file.gguf[@revision] or hf:owner/repo')
  }
  const segments = [owner, repo, ...(file ?? 'none').split('/'), ...revision.split('/')]
  // These would walk through the hub's URLs, or through our own folder.
  if (segments.some((part) => part === '' || /^\.+$/.test(part) || /[\p{Cc}\\]/u.test(part))) {
    throw refused(spec, 'its parts may not be empty, "." or ".."')
  }
  if (file === undefined) {
    if (/\.gguf$/i.test(repo)) throw refused(spec, 'it names a file without its repository')
    return { owner, repo, revision }
  }
  if (/-\d{5}-of-\d{5}\.gguf$/i.test(file)) {
    throw refused(spec, 'it is one part of a split model, and only whole files can be pulled')
  }
  return { owner, repo, file, revision }
}

export const isHubFile = (place: HubPlace): place is HubRef => place.file !== undefined

function refused(spec: string, why: string): PrefixdError {
  return new PrefixdError('PREFIXD_E_INVALID_VALUE', `model cannot be "${spec}": ${why}.`, {
    field: 'model',
    next: "Copy owner, repository and file name from the model's page on the hub.",
  })
}

export const formatHubRef = ({ owner, repo, file, revision }: HubPlace): string =>
  `hf:${[owner, repo, ...(file === undefined ? [] : [file])].join('/')}` +
  `${revision === 'main' ? '' : `@${revision}`}`

/** Name in the store, e.g. `Qwen--Qwen3-0.6B-GGUF--Qwen3-0.6B-Q8_0`; the hub has no `--` itself. */
export function storeNameOf(ref: HubPlace): string {
  const whole = formatHubRef(ref)
  const name = whole
    .slice(3)
    .replace(/\.gguf(?=@|$)/i, '')
    .replaceAll('/', '--')
  // File names end at 255 bytes, and ours get suffixes.
  if (Buffer.byteLength(name) <= 200) return name
  const digest = createHash('sha256').update(whole).digest('hex').slice(0, 12)
  return `${(ref.file ?? ref.repo).split('/').at(-1)?.slice(0, 40) ?? 'model'}-${digest}`
}
