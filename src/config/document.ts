import { type Setting, settingList } from './schema.ts'

const introduction = `# Configuration

prefixd runs without any configuration. A setting can be given in four places; the later one wins:

1. the default,
2. a TOML file: \`--config FILE\`, or else \`PREFIXD_CONFIG\`, or else \`prefixd/config.toml\` in
   the platform's folder for settings (\`$XDG_CONFIG_HOME\` or \`~/.config\`; on macOS
   \`~/Library/Application Support\`), if there is one,
3. the environment (an empty variable counts as unset),
4. flags of \`prefixd serve\` and \`npm start --\`.

\`prefixd config\` prints every value and where it came from.

\`\`\`toml
# ~/.config/prefixd/config.toml
model = "qwen3-0.6b"
ram = "4GiB"
ssd = "50GiB"
\`\`\`

An unknown key, a wrong type and a value that is not allowed stop the start with
\`PREFIXD_E_CONFIG\`, which names the key, the place, and what is allowed. Sizes are written like
\`8GiB\`, \`500MB\` or as plain bytes; \`8G\` means \`8GiB\`. A relative path starts in the working
folder, or, in the file, in the file's own folder; \`~/\` is the home folder.

## Settings
`

const surroundings = `## Surroundings

| variable | what it does |
|---|---|
| \`PREFIXD_CONFIG\` | the TOML file, as \`--config\` |
| \`PREFIXD_ENCRYPT_KEY\` | key of an encrypted store, as in \`encrypt-key-file\` |
| \`PREFIXD_API_KEY\` | key that the other commands send to a service that wants one |
| \`PREFIXD_MODELS_DIR\` | folder of pulled models; else \`prefixd/models\` in the cache folder |
| \`PREFIXD_ENGINES_DIR\` | folder of installed engines; else \`prefixd/engines\` there |
| \`XDG_CACHE_HOME\`, \`XDG_CONFIG_HOME\` | the platform's folders, where they are absolute paths |
| \`HF_ENDPOINT\` | base URL of the hub or of a mirror |
| \`HF_TOKEN\`, \`HF_TOKEN_PATH\` | token for the hub; else the file that its own tools wrote |
| \`HF_HUB_OFFLINE\` | set to 1: models are never pulled from the hub |
| \`HF_HOME\`, \`HF_HUB_CACHE\` | where models that the hub's own tools pulled are found |
| \`OLLAMA_MODELS\` | where models that Ollama pulled are found |
| \`PREFIXD_FAKE\` | JSON for \`--engine fake\`: the keys of \`engines/fake/options.ts\` |
| \`PIP_…\`, \`UV_…\` | respected when an engine is installed, and when a model comes from a wheel |

The cache folder is \`$XDG_CACHE_HOME\` or \`~/.cache\`, on macOS \`~/Library/Caches\`.
`

function section({ key, env, kind, defaultText, description }: Setting<unknown>): string {
  const again = kind.isList === true ? ', again for more' : ''
  const flag = kind.isSwitch
    ? `\`--${key}\`, \`--no-${key}\``
    : `\`--${key} <${kind.placeholder.replaceAll('|', '\\|')}>\`${again}`
  return `### ${key}

${description}

| flag | environment | allowed | default |
|---|---|---|---|
| ${flag} | \`${env}\` | ${kind.allowed} | ${defaultText} |
`
}

/** The text of docs/config.md. `test/config/document.test.ts` compares them. */
export const configMarkdown = (): string =>
  [introduction, ...settingList.map(([, setting]) => section(setting)), surroundings].join('\n')
