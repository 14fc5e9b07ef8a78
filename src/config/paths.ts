/** The folders that this platform has for caches and for configuration. */
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'

/** What the folders depend on; tests pass their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
  readonly platform: NodeJS.Platform
  /** Relative paths of flags and variables start here. */
  readonly workingDir: string
}

export const currentSurroundings = (): Surroundings => ({
  env: process.env,
  home: homedir(),
  platform: process.platform,
  workingDir: process.cwd(),
})

/** The XDG specification says that a relative path there must be ignored. */
function absoluteOr(candidate: string | undefined, fallback: string): string {
  return candidate !== undefined && isAbsolute(candidate) ? candidate : fallback
}

/** Where caches of this user live, e.g. `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`. */
export function cacheHome({ env, home, platform }: Surroundings): string {
  const fallback =
    platform === 'darwin'
      ? join(home, 'Library', 'Caches')
      : platform === 'win32'
        ? absoluteOr(env.LOCALAPPDATA, join(home, 'AppData', 'Local'))
        : join(home, '.cache')
  return absoluteOr(env.XDG_CACHE_HOME, fallback)
}

/** Where settings of this user live, e.g. `~/.config` or `~/Library/Application Support`. */
export function configHome({ env, home, platform }: Surroundings): string {
  const fallback =
    platform === 'darwin'
      ? join(home, 'Library', 'Application Support')
      : platform === 'win32'
        ? absoluteOr(env.APPDATA, join(home, 'AppData', 'Roaming'))
        : join(home, '.config')
  return absoluteOr(env.XDG_CONFIG_HOME, fallback)
}

/** Everything that the service writes, models aside, unless `dir` says otherwise. */
export const defaultDataDir = (around: Surroundings): string =>
  join(cacheHome(around), 'prefixd', 'data')

/** Read when it exists and neither `--config` nor PREFIXD_CONFIG names another. */
export const defaultConfigFile = (around: Surroundings): string =>
  join(configHome(around), 'prefixd', 'config.toml')

/** Where pulled models live: PREFIXD_MODELS_DIR, or `prefixd/models` in the cache folder. */
export function modelsDir(around: Surroundings): string {
  const named = around.env.PREFIXD_MODELS_DIR
  return named === undefined || named === ''
    ? join(cacheHome(around), 'prefixd', 'models')
    : expandPath(named, around.workingDir, around.home)
}

/** Where engines that are installed later live: PREFIXD_ENGINES_DIR, or `prefixd/engines` there. */
export function enginesDir(around: Surroundings): string {
  const named = around.env.PREFIXD_ENGINES_DIR
  return named === undefined || named === ''
    ? join(cacheHome(around), 'prefixd', 'engines')
    : expandPath(named, around.workingDir, around.home)
}

/** An absolute path: `~/x` starts in the home folder, anything relative in `baseDir`. */
export function expandPath(path: string, baseDir: string, home: string): string {
  if (path === '~') return home
  if (path.startsWith('~/')) return join(home, path.slice(2))
  return resolve(baseDir, path)
}
