/** What pip and uv say when they fail, as one sentence with advice. */
import { PrefixdError } from '../errors.ts'
import type { ChildEnd } from './child.ts'
import type { Pins } from './pins.ts'

export const installError = (message: string, next: string, cause?: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_ENGINE_INSTALL', message, {
    field: 'engine',
    next,
    ...(cause === undefined ? {} : { cause }),
  })

const offline = new RegExp(
  [
    'NewConnectionError|Connection (refused|reset|timed out|broken)|ConnectTimeout|ReadTimeout',
    'Max retries exceeded|name resolution|Name or service not known|nodename nor servname',
    'Network is unreachable|No route to host|ProxyError|dns error|error sending request',
    'Failed to (fetch|establish)|network (connectivity )?(is|was) disabled|Could not connect',
  ].join('|'),
  'i',
)

export function installFailure(
  { output }: ChildEnd,
  installer: 'uv' | 'pip',
  { file }: Pins,
): PrefixdError {
  if (/No space left|Errno 28|os error 28/.test(output)) {
    return installError(
      'The disk is full: the packages of the MLX engine need about 1.5 GB while they are unpacked.',
      'Free some space, or set PREFIXD_ENGINES_DIR to a folder on a larger disk.',
    )
  }
  if (offline.test(output)) {
    const mirror = installer === 'uv' ? 'UV_DEFAULT_INDEX' : 'PIP_INDEX_URL'
    const folder =
      installer === 'uv' ? 'UV_NO_INDEX=1 UV_FIND_LINKS=DIR' : 'PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR'
    return installError(
      `${installer} reaches no package index.`,
      `Connect to the network and try again; or name a mirror in ${mirror}; or fetch the ` +
        `packages on a machine like this one (pip download -d DIR -r ${file}) and install ` +
        `with ${folder}.`,
    )
  }
  return installError(
    `${installer} cannot install the packages of the MLX engine: ${lastWords(output)}.`,
    `See what ${installer} is configured to use, and try again; the versions are in ${file}.`,
  )
}

/** The last error of pip is one line; uv's goes on to the end, with a frame around it. */
function lastWords(output: string): string {
  const lines = output.split('\n').map((line) => line.replaceAll(/[│╰├─▶]/g, '').trim())
  const said = lines.filter((line) => line !== '')
  const start = said.findLastIndex((line) => /^(ERROR:|error:|×)/.test(line))
  const words = said.slice(start).join(' ')
  return (
    words
      .replace(/^(ERROR:|error:|×) */, '')
      .replace(/\.$/, '')
      .slice(0, 300) || 'no output'
  )
}
