/**
 * Every setting, once. The loader, the flags of `prefixd serve`, `prefixd config` and
 * docs/config.md are all made from this table.
 */
import { limits } from './limits.ts'
import { shares } from './shares.ts'
import {
  auto,
  autoOr,
  choice,
  integer,
  pairOf,
  path,
  paths,
  size,
  text,
  texts,
  toggle,
  type ValueKind,
  words,
} from './value.ts'

const mebibyte = 1024 ** 2
const gibibyte = 1024 ** 3

/** What the defaults depend on. */
export interface Machine {
  /** Memory that this process may use: the machine's, or the container's if that is less. */
  readonly memoryBytes: number
  readonly cpuCount: number
  /** Absolute; the platform's cache folder + `/prefixd/data`. */
  readonly dataDir: string
}

export interface Setting<T> {
  /** In the file and, with `--`, on the command line. */
  readonly key: string
  readonly env: string
  readonly kind: ValueKind<T>
  readonly defaultOf: (machine: Machine) => T
  /** The default in words, for docs that are the same on every machine. */
  readonly defaultText: string
  readonly description: string
}

function setting<T>(
  key: string,
  description: string,
  kind: ValueKind<NoInfer<T>>,
  defaultOf: (machine: Machine) => T,
  defaultText: string,
): Setting<T> {
  const env = `PREFIXD_${key.toUpperCase().replaceAll('-', '_')}`
  return { key, env, kind, defaultOf, defaultText, description }
}

const engineNames = ['llamacpp', 'mlx', 'fake'] as const
export type EngineName = (typeof engineNames)[number]
const reuseModes = ['token', 'block'] as const
const evictions = ['retention', 'lru'] as const
const ropeScalings = ['none', 'linear', 'yarn'] as const
const kvTypes = ['f16', 'bf16', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0', 'iq4_nl'] as const
/** Of src/chat/hygiene/, where each one is described. */
const hygieneNames = ['claude-code-billing'] as const
export type HygieneName = (typeof hygieneNames)[number]
const reasoningFields = ['reasoning_content', 'reasoning'] as const
export type ReasoningField = (typeof reasoningFields)[number]
const logLevels = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof logLevels)[number]

const clamp = (value: number, min: number, max: number): number =>
  Math.min(Math.max(value, min), max)

export const defaultModels: readonly string[] = ['smollm2-135m']

/** A model may be a name or a path; only what is plainly a path is made absolute. */
const modelNames: ValueKind<readonly string[]> = {
  ...texts('model', 'a model name, a path, hf:owner/repo/file.gguf or hf:owner/repo'),
  place: (names, absolute) =>
    names.map((name) => (/^(\.{0,2}|~)\//.test(name) ? absolute(name) : name)),
}

/** A quarter of the memory, which leaves room for the weights; never more than 8 GiB unasked. */
export const defaultRamBytes = (memoryBytes: number): number =>
  clamp(Math.floor(memoryBytes / 4 / mebibyte) * mebibyte, 256 * mebibyte, 8 * gibibyte)

export const settings = {
  models: setting<readonly string[]>(
    'model',
    'The model to serve: a name of `prefixd models ls`, a path of a GGUF file or of a folder, ' +
      '`hf:owner/repo/file.gguf`, or for MLX `hf:owner/repo`. Of several each has a worker of its ' +
      'own; requests choose by name, and get the first one where they name none.',
    modelNames,
    () => defaultModels,
    defaultModels.join(','),
  ),
  engine: setting<EngineName | typeof auto>(
    'engine',
    'What computes, in a worker process for each model: llama.cpp, mlx (after `prefixd engines ' +
      'install mlx`), or the fake engine without a model. `auto` takes llama.cpp for GGUF files ' +
      'and mlx for folders; an engine that is named is for all models.',
    choice(auto, ...engineNames),
    () => auto,
    auto,
  ),
  host: setting<string>(
    'host',
    'Address to listen on. Anything but loopback needs `api-keys` or `insecure`.',
    text('address', 'a host name or an IP address'),
    () => '127.0.0.1',
    '127.0.0.1',
  ),
  port: setting<number>(
    'port',
    'Port to listen on; 0 takes a free one.',
    integer('port', { min: 0, max: 65_535 }),
    () => 8787,
    '8787',
  ),
  dir: setting<string>(
    'dir',
    'Folder for everything that the service writes, pulled models and installed engines aside.',
    path('folder', 'a folder'),
    (machine) => machine.dataDir,
    "the platform's cache folder + `/prefixd/data`",
  ),
  ramBytes: setting<number>(
    'ram',
    'Size of the RAM tier. It is taken at start and never grows.',
    size({ minBytes: limits.ramBytesMin, maxBytes: limits.tierBytesMax, minText: '64MiB' }),
    (machine) => defaultRamBytes(machine.memoryBytes),
    'a quarter of the memory, at least 256 MiB and at most 8 GiB',
  ),
  ssdBytes: setting<number>(
    'ssd',
    'Size of the SSD tier. 0 keeps nothing on disk: a restart is then cold.',
    size(
      { minBytes: limits.ssdBytesMin, maxBytes: limits.tierBytesMax, minText: '64MiB' },
      'no SSD tier',
    ),
    () => 20 * gibibyte,
    '20GiB',
  ),
  ssdWritesPerDayBytes: setting<number>(
    'ssd-writes-per-day',
    'Most bytes that are written to the SSD in 24 hours, a quarter of them at once. What is ' +
      'pinned or was used before goes first; the rest stays in RAM. 0 writes all that is computed.',
    size(
      { minBytes: limits.ssdBytesMin, maxBytes: limits.tierBytesMax, minText: '64MiB' },
      'no limit',
    ),
    () => 0,
    '0, no limit',
  ),
  shares: setting<readonly string[]>(
    'share',
    'Most that one model, or one tenant (an API key or its group), may hold of the RAM tier and ' +
      'of the SSD tier. Who is at it makes room for more from what is its own, never from others.',
    shares(),
    () => [],
    'none',
  ),
  blockTokens: setting<number>(
    'block-tokens',
    'Tokens of a block, the unit of storage. Reuse goes on to the token all the same. ' +
      'What was stored with another value is not found.',
    integer('tokens', { min: limits.blockTokensMin, max: limits.blockTokensMax, multipleOf: 16 }),
    () => 256,
    '256',
  ),
  boundaryTokens: setting<number>(
    'boundary-tokens',
    'Models with sliding windows or recurrent layers are restored only to places where these ' +
      'were saved: so many tokens apart, and at ends of messages and prompts. Others need none.',
    integer('tokens', { min: limits.blockTokensMin, max: limits.contextTokensMax }),
    () => 1024,
    '1024',
  ),
  reuse: setting<(typeof reuseModes)[number]>(
    'reuse',
    '`token` reuses to the last common token, as exactly as the engine computes in calls of ' +
      'other sizes; `block` reuses whole prefilled blocks only, which ' +
      'makes warm answers bit-identical to cold ones. With mlx, `block` also decodes answers one ' +
      'by one instead of together: several at once take two to three times as long.',
    choice(...reuseModes),
    () => 'token',
    'token',
  ),
  contextTokens: setting<number | typeof auto>(
    'ctx',
    "Tokens of context. 0 takes the model's trained maximum, which is also the upper limit " +
      'unless `rope-scaling` reaches further. `auto` is 8192, or less where the model or the ' +
      'memory holds less. What was asked for and does not fit into the memory stops the start.',
    autoOr(integer('tokens', { min: 0, max: limits.contextTokensMax })),
    () => auto,
    auto,
  ),
  sequences: setting<number | typeof auto>(
    'sequences',
    'Requests that the engine computes in turns; further ones wait. Each takes the memory of a ' +
      `whole context. \`auto\` is up to ${limits.sequences}, as many as a quarter of the memory ` +
      'and what is free now hold. Answers do not depend on it.',
    autoOr(integer('count', { min: 1, max: limits.sequencesMax })),
    () => auto,
    auto,
  ),
  ropeScaling: setting<(typeof ropeScalings)[number]>(
    'rope-scaling',
    'How a `ctx` beyond what the model was trained for is reached: `yarn` or `linear` squeeze ' +
      'positions into the trained range. Answers get worse with the factor; within the trained ' +
      'length nothing changes. Each factor has a cache of its own.',
    choice(...ropeScalings),
    () => 'none',
    'none',
  ),
  kvType: setting<string>(
    'kv-type',
    'In which type keys and values are kept, or keys and values with a slash, as `q8_0/f16`. ' +
      '`q8_0` halves the memory of a token and the bytes that are stored; on a CPU it makes ' +
      'prefill several times slower. Each type has a cache of its own. With mlx: `f16`, which is ' +
      'whatever the model computes in, `q8_0` or `q4_0`; on a CPU with OpenBLAS that is float32, ' +
      'of which `q8_0` leaves little more than a quarter.',
    pairOf(...kvTypes),
    () => 'f16',
    'f16',
  ),
  flashAttention: setting<'on' | 'off' | 'auto'>(
    'flash-attention',
    'Computes attention in one kernel. Quantised values need it. Each way has a cache of its own.',
    choice('on', 'off', 'auto'),
    () => 'on',
    'on',
  ),
  lora: setting<readonly string[]>(
    'lora',
    'LoRA adapters for the model, GGUF files, each with a scale behind a colon if it is not 1, ' +
      'as `style.gguf:0.5`; with mlx one folder of an adapter. What was computed with an adapter ' +
      'is found only with the same ones.',
    paths('files', 'GGUF files, each with `:SCALE` behind it if it is not 1'),
    () => [],
    'none',
  ),
  maxAnswerTokens: setting<number>(
    'max-answer-tokens',
    'Most tokens of one answer, whatever the client asks for; longer ones end with the finish ' +
      'reason `length`. 0: as many as the client asks for and the context holds.',
    integer('tokens', { min: 0, max: limits.contextTokensMax }),
    () => 0,
    '0',
  ),
  threads: setting<number>(
    'threads',
    'Threads that the engine computes with.',
    integer('count', { min: 1, max: limits.threadsMax }),
    (machine) => clamp(machine.cpuCount - 1, 1, limits.threadsMax),
    'cores − 1, at least 1',
  ),
  queuedRequests: setting<number>(
    'queue',
    'Requests that wait for the engine; one more is answered with status 429.',
    integer('count', { min: 1, max: limits.queuedRequestsMax }),
    () => limits.queuedRequests,
    String(limits.queuedRequests),
  ),
  save: setting<boolean>(
    'save',
    'Save what was computed. Without it the service only reads what is stored already.',
    toggle(),
    () => true,
    'true',
  ),
  keepText: setting<boolean>(
    'keep-text',
    'Keep the first 64 characters of a prompt in the catalog on the disk, so that ' +
      '`prefixd ls --text` can tell prefixes by them. Without it no word of a prompt is written, ' +
      'and a start erases those that an earlier one has kept.',
    toggle(),
    () => false,
    'false',
  ),
  encryptKeyFile: setting<string | null>(
    'encrypt-key-file',
    'File with a key of 32 bytes, as 64 hex digits or base64, that only you may read; or put the ' +
      'key itself into `PREFIXD_ENCRYPT_KEY`. What is stored on the SSD is then encrypted with ' +
      'AES-256-GCM: KV state and token ids. A directory is encrypted from its beginning or ' +
      'never. Not together with `keep-text`, whose words would not be encrypted.',
    path('file', 'a file that only you may read'),
    () => null,
    'nothing is encrypted',
  ),
  prefetch: setting<boolean>(
    'prefetch',
    'Read from the SSD into RAM before it is asked for: at start what was used last, as far as ' +
      'three quarters of the RAM tier go, and later what a request needs that waits for the ' +
      'engine.',
    toggle(),
    () => true,
    'true',
  ),
  eviction: setting<(typeof evictions)[number]>(
    'eviction',
    'What makes room in a full tier: `retention` keeps for longer what was used often, and what ' +
      'costs much to compute again for its size; `lru` goes by the last use alone. ' +
      '`prefixd simulate` compares them.',
    choice(...evictions),
    () => 'retention',
    'retention',
  ),
  recordFile: setting<string | null>(
    'record',
    'File for a trace of the answered requests, which `prefixd simulate` replays: hashes of ' +
      'blocks and counts of tokens, no text. Lines are added; at 256 MiB it becomes `FILE.1`.',
    path('file', 'a file'),
    () => null,
    'nothing is recorded',
  ),
  libraryDir: setting<string | null>(
    'library-dir',
    "Folder with llama.cpp's shared libraries of your own build, in place of the bundled ones.",
    path('folder', 'a folder with the shared libraries of llama.cpp'),
    () => null,
    'the bundled libraries',
  ),
  apiKeysFile: setting<string | null>(
    'api-keys',
    'File of API keys, `KEY [GROUP] [admin]` a line; it is read again when it changes. Two keys ' +
      'never share a block, keys of one group do; without keys everybody is the owner.',
    path('file', 'a file with one key a line'),
    () => null,
    'no keys',
  ),
  hygiene: setting<readonly HygieneName[]>(
    'hygiene',
    'What is removed from chats before they are rendered, because it differs where prompts ' +
      'could be equal. Every reply says what was removed.',
    words(...hygieneNames),
    () => hygieneNames,
    hygieneNames.join(','),
  ),
  reasoningField: setting<ReasoningField>(
    'reasoning-field',
    'What chat completions call the thinking of a model: `reasoning_content` as llama.cpp, or ' +
      '`reasoning` as vLLM. Both are read.',
    { ...choice(...reasoningFields), placeholder: 'name' },
    () => 'reasoning_content',
    'reasoning_content',
  ),
  insecure: setting<boolean>(
    'insecure',
    'Allow a `host` that other machines can reach although requests need no key.',
    toggle(),
    () => false,
    'false',
  ),
  logLevel: setting<LogLevel>(
    'log-level',
    'What is written to the log.',
    choice(...logLevels),
    () => 'info',
    'info',
  ),
} as const

export type Property = keyof typeof settings
/** What the service runs with; sizes in bytes, paths absolute, `libraryDir` null when bundled. */
export type Config = {
  readonly [K in Property]: ReturnType<(typeof settings)[K]['defaultOf']>
}

/** The table as a list, in the order of help and docs. */
export const settingList = Object.entries(settings) as readonly (readonly [
  Property,
  Setting<Config[Property]>,
])[]

/** Every key as the file and the flags write it, e.g. `block-tokens`. */
export const configKeys: readonly string[] = settingList.map(([, { key }]) => key)
