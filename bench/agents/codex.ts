/** Codex: `POST /v1/responses`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Agent, jsonLines, type Place } from './agent.ts'

const triples: Readonly<Record<string, string>> = {
  'linux-x64': 'x86_64-unknown-linux-musl',
  'linux-arm64': 'aarch64-unknown-linux-musl',
  'darwin-x64': 'x86_64-apple-darwin',
  'darwin-arm64': 'aarch64-apple-darwin',
}

interface TurnLine {
  readonly type?: unknown
  readonly usage?: { readonly cached_input_tokens?: unknown }
}

/** What docs/clients/codex.md tells users to write, and no traffic but to prefixd. */
const settings = ({ url, model, contextTokens }: Place): string => `
model = "${model}"
model_provider = "prefixd"
model_context_window = ${contextTokens}
check_for_update_on_startup = false

[model_providers.prefixd]
name = "prefixd"
base_url = "${url}/v1"
wire_api = "responses"

[analytics]
enabled = false
`

export const codex: Agent = {
  id: 'codex',
  title: 'Codex',
  packageName: '@openai/codex',
  version: '0.169.0',
  executable: (platform, arch) => {
    const triple = triples[`${platform}-${arch}`]
    return triple === undefined
      ? null
      : `@openai/codex-${platform}-${arch}/vendor/${triple}/bin/codex`
  },
  prepare: (place) => {
    const folder = join(place.home, '.codex')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'config.toml'), settings(place))
  },
  env: ({ home }) => ({ CODEX_HOME: join(home, '.codex') }),
  words: ({ prompt, continues }) => {
    const how = ['--json', '--skip-git-repo-check']
    return continues
      ? ['exec', 'resume', '--last', ...how, prompt]
      : ['exec', '--sandbox', 'read-only', ...how, prompt]
  },
  counts: 'session',
  ownCachedTokens: (output) => {
    const turns = jsonLines(output).filter(({ type }) => type === 'turn.completed') as TurnLine[]
    const cached = turns.at(-1)?.usage?.cached_input_tokens
    return typeof cached === 'number' ? cached : null
  },
}
