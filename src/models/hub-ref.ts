import { createHash } from 'node:crypto'
import { PrefixdError } from '../errors.ts'

/** One file of one repository of the hub. */
export interface HubRef {
  readonly owner: string
  readonly repo: string
  /** Path inside the repository, e.g. `Q4/model.gguf`. */
  readonly file: string
  readonly revision: string
}

export const isHubRef = (spec: string): boolean => /^hf:/i.test(spec)

/** Reads `hf:owner/repo/file.gguf[@revision]`; throws PREFIXD_E_INVALID_VALUE. */
export function parseHubRef(spec: string): HubRef {
  const match = /^hf:([\w.-]{1,96})\/([\w.-]{1,96})\/(.{1,400}?\.gguf)(?:@(.{1,200}))?$/i.exec(spec)
  const [, owner, repo, file, revision = 'main'] = match ?? []
  if (owner === undefined || repo === undefined || file === undefined) {
    throw refused(spec, 'it is not of the form hf:owner/repo/file.gguf[@revision]')
  }
  const segments = [owner, repo, ...file.split('/'), ...revision.split('/')]
  // These would walk through the hub's URLs, or through our own folder.
  if (segments.some((part) => part === '' || /^\.+$/.test(part) || /[\p{Cc}\\]/u.test(part))) {
    throw refused(spec, 'its parts may not be empty, "." or ".."')
  }
  if (/-\d{5}-of-\d{5}\.gguf$/i.test(file)) {
    throw refused(spec, 'it is one part of a split model, and only whole files can be pulled')
  }
  return { owner, repo, file, revision }
}

function refused(spec: string, why: string): PrefixdError {
  return new PrefixdError('PREFIXD_E_INVALID_VALUE', `model cannot be "${spec}": ${why}.`, {
    field: 'model',
    next: "Copy owner, repository and file name from the model's page on the hub.",
  })
}

export const formatHubRef = ({ owner, repo, file, revision }: HubRef): string =>
  `hf:${owner}/${repo}/${file}${revision === 'main' ? '' : `@${revision}`}`

/** Name in the store, e.g. `Qwen--Qwen3-0.6B-GGUF--Qwen3-0.6B-Q8_0`; the hub has no `--` itself. */
export function storeNameOf(ref: HubRef): string {
  const whole = formatHubRef(ref)
  const name = whole
    .slice(3)
    .replace(/\.gguf(?=@|$)/i, '')
    .replaceAll('/', '--')
  // File names end at 255 bytes, and ours get suffixes.
  if (Buffer.byteLength(name) <= 200) return name
  const digest = createHash('sha256').update(whole).digest('hex').slice(0, 12)
  return `${ref.file.split('/').at(-1)?.slice(0, 40) ?? 'model'}-${digest}`
}
