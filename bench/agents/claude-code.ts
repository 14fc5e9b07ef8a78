/** Claude Code: `POST /v1/messages`. */
import { type Agent, jsonLines } from './agent.ts'

const platforms: Readonly<Record<string, readonly string[]>> = {
  linux: ['x64', 'arm64'],
  darwin: ['x64', 'arm64'],
}

interface ResultLine {
  readonly type?: unknown
  readonly usage?: { readonly cache_read_input_tokens?: unknown }
}

export const claudeCode: Agent = {
  id: 'claude',
  title: 'Claude Code',
  packageName: '@anthropic-ai/claude-code',
  version: '2.1.330',
  executable: (platform, arch) =>
    platforms[platform]?.includes(arch)
      ? `@anthropic-ai/claude-code-${platform}-${arch}/claude`
      : null,
  prepare: () => {},
  env: ({ url, model, answerTokens }) => ({
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_AUTH_TOKEN: 'local',
    ANTHROPIC_MODEL: model,
    ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
    CLAUDE_CODE_MAX_OUTPUT_TOKENS: String(answerTokens),
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
  }),
  words: ({ prompt, continues }) => [
    '-p',
    prompt,
    ...(continues ? ['--continue'] : []),
    '--output-format',
    'json',
    '--permission-prompts',
    'none',
  ],
  counts: 'turn',
  ownCachedTokens: (output) => {
    const result = jsonLines(output).find(({ type }) => type === 'result') as ResultLine | undefined
    const cached = result?.usage?.cache_read_input_tokens
    return typeof cached === 'number' ? cached : null
  },
}
