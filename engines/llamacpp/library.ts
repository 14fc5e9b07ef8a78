/** Loads llama.cpp once per process and hands out its functions. */
import koffi, { type LibraryHandle } from 'koffi'
import { bindGgml, bindLlama, type GgmlCalls, type LlamaCalls } from './calls.ts'
import { findLibraryFolder, knownRelease, libraryError } from './library-folder.ts'
import { checkLayouts, type Pointer } from './structs.ts'

export interface LlamaLibrary {
  readonly calls: LlamaCalls
  readonly ggml: GgmlCalls
  /** E.g. `v0.5.0`. */
  readonly release: string
  /** E.g. `@node-llama-cpp/linux-x64 3.22.1`. */
  readonly origin: string
  /** A C function that ignores its arguments: the log sink, so that no log calls JavaScript. */
  readonly silentLog: Pointer
  /** `int atoi(const char *)`, which answers as an abort callback: "1" is true, "0" is false. */
  readonly atoi: Pointer
}

const loaded = new Map<string, LlamaLibrary>()

/** Throws `PREFIXD_E_ENGINE_LIBRARY` naming the platform, the folder and the remedy. */
export function loadLibrary(libraryDir: string | null): LlamaLibrary {
  const folder = findLibraryFolder(libraryDir)
  const known = loaded.get(folder.path)
  if (known !== undefined) return known
  try {
    const base = koffi.load(folder.ggmlBase, { global: true })
    const ggmlHandle = koffi.load(folder.ggml, { global: true })
    const llama = koffi.load(folder.llama, { global: true })
    const release = knownRelease(folder, reportedVersion(llama))
    const calls = bindLlama(llama)
    const ggml = bindGgml(ggmlHandle, base)
    const silentLog = base.symbol('ggml_time_us') as Pointer
    checkLayouts(
      calls.llama_model_default_params(),
      calls.llama_context_default_params(),
      folder.path,
    )
    // The log is silenced first, and backends are found before llama.cpp looks for devices.
    calls.llama_log_set(silentLog, null)
    ggml.loadBackends(folder.path)
    calls.llama_backend_init()
    const atoi = koffi.load(process.platform === 'win32' ? 'ucrtbase.dll' : null).symbol('atoi')
    const library = { calls, ggml, release, origin: folder.origin, silentLog, atoi }
    loaded.set(folder.path, library)
    return library
  } catch (cause) {
    if ((cause as { code?: unknown }).code === 'PREFIXD_E_ENGINE_LIBRARY') throw cause
    throw libraryError(
      `The llama.cpp libraries in ${folder.path} cannot be loaded on ` +
        `${process.platform}-${process.arch}: ${(cause as Error).message}. Reinstall ` +
        'dependencies with npm install, or set libraryDir to a build for this machine.',
      cause,
    )
  }
}

/** v0.4.0 builds need not have the call; the tag of their file name then decides. */
function reportedVersion(llama: LibraryHandle): string | null {
  try {
    return llama.func('llama_version', 'str', [])() as string
  } catch {
    return null
  }
}
