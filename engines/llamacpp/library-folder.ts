/** Where the libraries of llama.cpp are on this machine, and which release they say they are. */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { EngineError } from '../errors.ts'

/** The releases whose struct layouts structs.ts describes; v0.4.0 and v0.5.0 share one layout. */
const knownReleases: ReadonlySet<string> = new Set(['v0.4.0', 'v0.5.0'])

const packageVersionInstalled = '3.22.1'

const platformPackages: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'linux-arm': 'linux-armv7l',
  'linux-riscv64': 'linux-riscv64',
  'darwin-arm64': 'mac-arm64-metal',
  'darwin-x64': 'mac-x64',
  'win32-x64': 'win-x64',
  'win32-arm64': 'win-arm64',
}

export interface LibraryFolder {
  readonly path: string
  /** Files to load, in this order: a library comes behind those that it needs. */
  readonly ggmlBase: string
  readonly ggml: string
  readonly llama: string
  /** Release that the file name carries, e.g. `v0.5.0`; null for a build without one. */
  readonly taggedRelease: string | null
  /** E.g. `@node-llama-cpp/linux-x64 3.22.1`, or `own build` for a folder of the user's. */
  readonly origin: string
}

/**
 * Finds the libraries: in `libraryDir` when the user names one, else in the npm package of this
 * platform. Throws `PREFIXD_E_ENGINE_LIBRARY`, which says what to install.
 */
export function findLibraryFolder(libraryDir: string | null): LibraryFolder {
  if (libraryDir !== null) return describeFolder(libraryDir, 'own build')
  const platform = `${process.platform}-${process.arch}`
  const name = platformPackages[platform]
  if (name === undefined) {
    throw libraryError(
      `There is no llama.cpp package for ${platform}. Build llama.cpp ${newestKnown()} with ` +
        'shared libraries and name their folder in the engine setting libraryDir.',
    )
  }
  const packageName = `@node-llama-cpp/${name}`
  let packageFolder: string
  try {
    packageFolder = dirname(dirname(createRequire(import.meta.url).resolve(packageName)))
  } catch (cause) {
    throw libraryError(
      `The llama.cpp libraries for ${platform} are not installed (${packageName}). ` +
        `Run: npm install ${packageName}@${packageVersionInstalled}`,
      cause,
    )
  }
  const manifest = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as {
    version: string
  }
  return describeFolder(join(packageFolder, 'bins', name), `${packageName} ${manifest.version}`)
}

/** `reported` is what `llama_version()` says, e.g. `0.5.0-dev`; null where it does not exist. */
export function knownRelease(folder: LibraryFolder, reported: string | null): string {
  const digits = reported === null ? null : /^v?(\d+\.\d+\.\d+)/.exec(reported)?.[1]
  const reportedRelease = digits === undefined || digits === null ? null : `v${digits}`
  const release = folder.taggedRelease ?? reportedRelease
  const remedy =
    `Known releases are ${[...knownReleases].join(', ')}; install the package version that ` +
    'prefixd names, or build one of them for the engine setting libraryDir.'
  if (release === null || !knownReleases.has(release)) {
    const words = release ?? reported ?? 'an unnamed release'
    throw libraryError(`${folder.path} holds llama.cpp ${words}, which is not known. ${remedy}`)
  }
  if (reportedRelease !== null && reportedRelease !== release) {
    throw libraryError(
      `${basename(folder.llama)} says in its code that it is ${reportedRelease}. ${remedy}`,
    )
  }
  return release
}

export function libraryError(message: string, cause?: unknown): EngineError {
  return new EngineError('PREFIXD_E_ENGINE_LIBRARY', message, cause === undefined ? {} : { cause })
}

function describeFolder(path: string, origin: string): LibraryFolder {
  let files: string[]
  try {
    files = readdirSync(path)
  } catch (cause) {
    throw libraryError(
      `The folder of the llama.cpp libraries cannot be read: ${path}. ` +
        'The engine setting libraryDir takes the folder that holds libllama and libggml.',
      cause,
    )
  }
  const llama = only(files, path, 'llama')
  return {
    path,
    ggmlBase: join(path, only(files, path, 'ggml-base')),
    ggml: join(path, only(files, path, 'ggml')),
    llama: join(path, llama),
    taggedRelease: /\.(v\d+\.\d+\.\d+)\.(?:so|dylib|dll)$/.exec(llama)?.[1] ?? null,
    origin,
  }
}

/** `libllama.so`, `libllama.v0.5.0.so`, `libllama.cuda.v0.5.0.dylib`, `llama.v0.5.0.dll`, … */
function only(files: readonly string[], path: string, library: string): string {
  const pattern = new RegExp(
    `^(?:lib)?${library}(?:\\.[a-z]+)*(?:\\.v[\\d.]+)?\\.(?:so|dylib|dll)$`,
  )
  const found = files.filter((file) => pattern.test(file))
  if (found.length === 1 && found[0] !== undefined) return found[0]
  const what = found.length === 0 ? 'no' : `${found.length} different`
  throw libraryError(
    `${path} holds ${what} lib${library} files; exactly one is needed. ` +
      'Reinstall the package, or name the folder of one llama.cpp build in libraryDir.',
  )
}

function newestKnown(): string {
  return [...knownReleases].at(-1) ?? ''
}
