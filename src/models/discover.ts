/** Models that other programs have on this disk already. Only read, never changed; all bounded. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { limits } from '../config/limits.ts'
import type { Surroundings } from '../config/paths.ts'
import { digestFromName } from './digest.ts'
import { isModelFile, modelIdOf } from './gguf.ts'
import { hubHome } from './hub-token.ts'
import { readMlxFolder } from './mlx-folder.ts'
import type { ModelKind } from './model-kind.ts'

export type DiscoveryOrigin = 'ollama' | 'lmstudio' | 'hub'

export interface DiscoveredModel {
  /** As its program calls it, e.g. `llama3.2:1b`; else the file's name without its ending. */
  readonly name: string
  /** Unique among what `origin` has, e.g. `owner/repo/file`; equal to `name` for Ollama. */
  readonly fullName: string
  readonly kind: ModelKind
  readonly path: string
  readonly sizeBytes: number
  readonly origin: DiscoveryOrigin
  /** From a content-addressed name; null otherwise. */
  readonly digest: string | null
  /** Revision of the hub's cache; null otherwise. */
  readonly revision: string | null
}

/** Everything that Ollama, LM Studio and the hub's cache have here, by origin and name. */
export async function discoverModels(around: Surroundings): Promise<readonly DiscoveredModel[]> {
  const found = await Promise.all([
    ...ollamaRoots(around).map(ollamaModels),
    ...lmStudioRoots(around).map(lmStudioModels),
    hubCacheModels(hubCacheRoot(around)),
  ])
  const byPlace = new Map(found.flat().map((model) => [`${model.fullName}\n${model.path}`, model]))
  return [...byPlace.values()].sort(
    (a, b) => a.origin.localeCompare(b.origin) || a.fullName.localeCompare(b.fullName),
  )
}

/** With the system service's own home, which is where Linux installations keep theirs. */
const ollamaRoots = ({ env, home }: Surroundings): string[] =>
  env.OLLAMA_MODELS
    ? [env.OLLAMA_MODELS]
    : [join(home, '.ollama', 'models'), join(sep, 'usr', 'share', 'ollama', '.ollama', 'models')]

const lmStudioRoots = ({ home }: Surroundings): string[] => [
  join(home, '.lmstudio', 'models'),
  join(home, '.cache', 'lm-studio', 'models'),
]

const hubCacheRoot = (around: Surroundings): string =>
  around.env.HF_HUB_CACHE || join(hubHome(around), 'hub')

/** Files below `root`, relative; unreadable folders count as empty, links to folders as files. */
async function filesBelow(root: string): Promise<string[]> {
  const files: string[] = []
  let seen = 0
  const queue = [{ dir: root, depth: 0 }]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const entries = await readdir(next.dir, { withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      seen += 1
      if (seen > limits.discoveryEntries) return files
      const path = join(next.dir, entry.name)
      if (!entry.isDirectory()) files.push(relative(root, path))
      else if (next.depth < limits.discoveryDepth) queue.push({ dir: path, depth: next.depth + 1 })
    }
  }
  return files
}

type Naming = Pick<DiscoveredModel, 'name' | 'fullName' | 'origin' | 'revision'>

async function describe(path: string, naming: Naming): Promise<DiscoveredModel[]> {
  try {
    if (!(await isModelFile(path))) return []
    const real = await realpath(path)
    const { size } = await stat(real)
    return [{ ...naming, kind: 'gguf', path, sizeBytes: size, digest: digestFromName(real) }]
  } catch {
    return []
  }
}

/** Folders of MLX models; pictures and other files of other kinds of models make none. */
async function describeFolder(path: string, naming: Naming): Promise<DiscoveredModel[]> {
  try {
    const { sizeBytes } = await readMlxFolder(path)
    return [{ ...naming, kind: 'mlx', path, sizeBytes, digest: null }]
  } catch {
    return []
  }
}

const foldersWithConfig = (files: readonly string[]): string[] =>
  files.filter((file) => basename(file) === 'config.json').map((file) => dirname(file))

interface OllamaManifest {
  readonly layers?: readonly { readonly mediaType?: unknown; readonly digest?: unknown }[]
}

/** `manifests/HOST/NAMESPACE/MODEL/TAG` names blobs by their digest; one of them is the weights. */
async function ollamaModels(root: string): Promise<DiscoveredModel[]> {
  const manifests = join(root, 'manifests')
  const models: DiscoveredModel[] = []
  for (const file of await filesBelow(manifests)) {
    const digest = await ollamaWeights(join(manifests, file))
    if (digest === null) continue
    const name = ollamaName(file.split(sep))
    const naming: Naming = { name, fullName: name, origin: 'ollama', revision: null }
    models.push(...(await describe(join(root, 'blobs', `sha256-${digest}`), naming)))
  }
  return models
}

async function ollamaWeights(path: string): Promise<string | null> {
  try {
    if ((await stat(path)).size > limits.discoveryManifestBytes) return null
    const { layers } = JSON.parse(await readFile(path, 'utf8')) as OllamaManifest
    const weights = layers?.find(
      (layer) => layer.mediaType === 'application/vnd.ollama.image.model',
    )
    const match = /^sha256:([0-9a-f]{64})$/.exec(String(weights?.digest))
    return match?.[1] ?? null
  } catch {
    return null
  }
}

/** `llama3.2:1b` for Ollama's own library, `namespace/model:tag`, or with the host for others. */
function ollamaName(segments: readonly string[]): string {
  const [host = '', ...rest] = segments
  const tag = rest.pop() ?? 'latest'
  const isOwn = host.endsWith('ollama.ai') || host.endsWith('ollama.com')
  const path = !isOwn ? [host, ...rest] : rest[0] === 'library' ? rest.slice(1) : rest
  return `${path.join('/')}:${tag}`
}

/** Weights; not the projectors of vision models, and of split models only the first part. */
const isWeightsName = (file: string): boolean =>
  /\.gguf$/i.test(file) &&
  !basename(file).toLowerCase().startsWith('mmproj') &&
  !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(file)

const slashed = (path: string): string => path.split(sep).join('/')

async function lmStudioModels(root: string): Promise<DiscoveredModel[]> {
  const models: DiscoveredModel[] = []
  const files = await filesBelow(root)
  for (const folder of foldersWithConfig(files)) {
    const fullName = slashed(folder)
    const naming: Naming = { name: basename(folder), fullName, origin: 'lmstudio', revision: null }
    models.push(...(await describeFolder(join(root, folder), naming)))
  }
  for (const file of files.filter(isWeightsName)) {
    const fullName = slashed(file).replace(/\.gguf$/i, '')
    const naming: Naming = { name: modelIdOf(file), fullName, origin: 'lmstudio', revision: null }
    models.push(...(await describe(join(root, file), naming)))
  }
  return models
}

/** `models--OWNER--REPO/snapshots/REVISION/FILE`; the one that `refs/main` names has no `@`. */
async function hubCacheModels(root: string): Promise<DiscoveredModel[]> {
  const models: DiscoveredModel[] = []
  const repos = (await readdir(root).catch(() => [])).filter((name) => name.startsWith('models--'))
  for (const repo of repos.slice(0, limits.discoveryEntries)) {
    const snapshots = join(root, repo, 'snapshots')
    const main = (await readFile(join(root, repo, 'refs', 'main'), 'utf8').catch(() => '')).trim()
    const files = await filesBelow(snapshots)
    const repoName = repo.slice('models--'.length).replace('--', '/')
    const suffixOf = (revision: string): string => (revision === main ? '' : `@${revision}`)
    for (const revision of foldersWithConfig(files).filter((folder) => !folder.includes(sep))) {
      const suffix = suffixOf(revision)
      const naming: Naming = {
        name: `${repoName.split('/').at(-1)}${suffix}`,
        fullName: repoName + suffix,
        origin: 'hub',
        revision,
      }
      models.push(...(await describeFolder(join(snapshots, revision), naming)))
    }
    for (const file of files.filter(isWeightsName)) {
      const [revision = '', ...inside] = file.split(sep)
      const suffix = suffixOf(revision)
      const naming: Naming = {
        name: modelIdOf(file) + suffix,
        fullName: `${repoName}/${inside.join('/').replace(/\.gguf$/i, '')}${suffix}`,
        origin: 'hub',
        revision,
      }
      models.push(...(await describe(join(snapshots, file), naming)))
    }
  }
  return models
}
