/** opencode: `POST /v1/chat/completions`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Agent, jsonLines, type Place } from './agent.ts'

interface StepLine {
  readonly type?: unknown
  readonly part?: { readonly tokens?: { readonly cache?: { readonly read?: unknown } } }
}

/** What docs/clients/opencode.md tells users to write, and no traffic but to prefixd. */
const settings = ({ url, model, contextTokens, answerTokens }: Place) => ({
  $schema: 'https://opencode.ai/config.json',
  model: `prefixd/${model}`,
  small_model: `prefixd/${model}`,
  autoupdate: false,
  share: 'disabled',
  enabled_providers: ['prefixd'],
  provider: {
    prefixd: {
      npm: '@ai-sdk/openai-compatible',
      name: 'prefixd',
      options: { baseURL: `${url}/v1`, apiKey: 'local' },
      models: { [model]: { name: model, limit: { context: contextTokens, output: answerTokens } } },
    },
  },
})

export const opencode: Agent = {
  id: 'opencode',
  title: 'opencode',
  packageName: 'opencode-ai',
  version: '1.18.33',
  executable: (platform, arch) =>
    (platform === 'linux' || platform === 'darwin') && (arch === 'x64' || arch === 'arm64')
      ? `opencode-${platform}-${arch}/bin/opencode`
      : null,
  prepare: (place) => {
    const folder = join(place.home, '.config', 'opencode')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'opencode.json'), JSON.stringify(settings(place), null, 2))
  },
  env: () => ({
    OPENCODE_DISABLE_AUTOUPDATE: '1',
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
    OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
  }),
  words: ({ prompt, continues }) => [
    'run',
    ...(continues ? ['--continue'] : []),
    '--format',
    'json',
    prompt,
  ],
  counts: 'turn',
  ownCachedTokens: (output) => {
    const steps = jsonLines(output).filter(({ type }) => type === 'step_finish') as StepLine[]
    const read = steps.map(({ part }) => part?.tokens?.cache?.read)
    const known = read.filter((count) => typeof count === 'number')
    return known.length === 0 ? null : known.reduce((sum, count) => sum + count, 0)
  },
}
