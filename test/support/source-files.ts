/** The repository as text, for the tests that check the source itself. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { maskSource } from './mask-source.ts'

export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url))

export interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
}

export interface ImportEdge {
  /** As written: a package, `node:…`, or a relative path. */
  readonly specifier: string
  /** Relative to the repository where it names one of our files, otherwise null. */
  readonly target: string | null
  readonly kind: 'value' | 'type' | 'dynamic'
}

const skippedFolders = new Set(['node_modules', 'dist', 'coverage', '__pycache__'])

/** Paths of all files under a folder of the repository; a missing folder has none. */
export function filesUnder(folder: string): string[] {
  const entries = readdirSync(join(repositoryRoot, folder), {
    withFileTypes: true,
    recursive: true,
  })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)))
    .map((path) => path.split(sep).join('/'))
    .filter((path) => !path.split('/').some((part) => skippedFolders.has(part)))
    .sort()
}

export function readSource(path: string): SourceFile {
  const text = readFileSync(join(repositoryRoot, path), 'utf8')
  return { path, text, lines: text.split('\n') }
}

/** TypeScript and JavaScript under the given folders. */
export const sourcesUnder = (...folders: string[]): SourceFile[] =>
  folders
    .flatMap((folder) => filesUnder(folder))
    .filter((path) => /\.m?[jt]s$/.test(path))
    .map(readSource)

const clause = String.raw`(?:import|export)\s+(?<type>type\s+)?(?<names>[\w$*\s{},]+?)\s*from\s*`
const importPattern = new RegExp(
  String.raw`(?:${clause}|(?<bare>import)\s*|(?<typeof>typeof\s+)?import\s*\(\s*)(?<quote>['"])`,
  'g',
)

/** Every static, type-only and dynamic import with a literal specifier, as the text has them. */
export function importsOf(file: SourceFile): ImportEdge[] {
  const masked = maskSource(file.text)
  return [...masked.matchAll(importPattern)].map((match) => {
    const start = match.index + match[0].length
    const end = masked.indexOf(match.groups?.quote ?? '', start)
    const specifier = file.text.slice(start, end)
    return { specifier, target: resolveTarget(file.path, specifier), kind: kindOf(match) }
  })
}

function kindOf(match: RegExpExecArray): ImportEdge['kind'] {
  const { type, names, bare, typeof: typeQuery } = match.groups ?? {}
  if (type !== undefined || typeQuery !== undefined) return 'type'
  if (bare !== undefined) return 'value'
  if (names === undefined) return 'dynamic'
  const inner = /^\{(?<list>.*)\}$/s.exec(names.trim())?.groups?.list
  const specifiers = inner?.split(',').map((name) => name.trim())
  const named = specifiers?.filter((name) => name !== '') ?? []
  return named.length > 0 && named.every((name) => name.startsWith('type ')) ? 'type' : 'value'
}

function resolveTarget(from: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null
  const url = new URL(specifier, `file:///${from}`)
  return url.pathname.slice(1)
}
