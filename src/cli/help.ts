/** Help that teaches: what each command is for, with examples that work. */

export interface CommandHelp {
  readonly brief: string
  /** Arguments, as the usage line shows them. */
  readonly arguments?: string
  readonly about: string
  readonly examples: readonly (readonly [command: string, what: string])[]
}

export const commandHelp = {
  serve: {
    brief: 'Start the service in the foreground',
    about:
      'Loads the model (pulling it on first use), serves an OpenAI-compatible endpoint, and ' +
      'prints one line for each request. Ctrl-C finishes what is under way; a second one ends ' +
      'at once. Everything is also a line of the config file and an environment variable: ' +
      'prefixd config.',
    examples: [
      ['prefixd serve', 'the default model on http://127.0.0.1:8787/v1'],
      ['prefixd serve --model ~/models/qwen.gguf --ctx 32768', 'a GGUF file of yours'],
      ['prefixd serve --ram 8GiB --ssd 100GiB --dir /fast/prefixd', 'larger tiers, elsewhere'],
      ['prefixd serve --reuse block', 'bit-identical to cold answers, whole blocks only'],
    ],
  },
  ps: {
    brief: 'Show the workers: which models are loaded, and what they do',
    about:
      'One line for each worker, and below it whatever needs attention. MEMORY is what its ' +
      'process has, and what it takes at most by plan, without the RAM tier.',
    examples: [['prefixd ps', 'state, queue and memory of the models']],
  },
  stats: {
    brief: 'Show hit rates, tiers and savings',
    about:
      'How full each tier is, which share of all prompt tokens came from it since the start, ' +
      'and what that saved. --watch redraws in place; into a pipe it prints one line per ' +
      'interval.',
    examples: [
      ['prefixd stats', 'since the start of the service'],
      ['prefixd stats --since 7d', 'a week, day by day, restarts or not'],
      ['prefixd stats --watch --interval 5', 'every five seconds, until Ctrl-C'],
      ['prefixd stats --watch --json | jq .tokens', 'one JSON object per line'],
    ],
  },
  ls: {
    brief: 'List the stored prefixes',
    about:
      'One line for each stored prompt beginning. UNIQUE is what it shares with no other ' +
      'prefix, and so what evicting it frees.',
    examples: [
      ['prefixd ls', 'the twenty that were used last'],
      ['prefixd ls --sort size --limit 5', 'the largest'],
      ['prefixd ls --tier ssd --model smollm2-135m', 'only these'],
    ],
  },
  inspect: {
    brief: 'Show one prefix: its blocks, where they lie, who shares them',
    arguments: '<id>',
    about: 'Takes the beginning of an id, as long as it names one prefix only.',
    examples: [
      ['prefixd inspect 9f2c', 'blocks that are alike are joined'],
      ['prefixd inspect 9f2c --blocks', 'every block on its own line'],
    ],
  },
  why: {
    brief: 'Explain what a request hit, what it missed, and why',
    arguments: '[<request-id>]',
    about:
      'Takes the id that its reply had as x-request-id, also after a restart; without one, the ' +
      'latest request. Says what was restored and computed, and what can be done about a miss.',
    examples: [
      ['prefixd why', 'the latest request'],
      ['prefixd why req_mgx1k2', 'this one'],
    ],
  },
  events: {
    brief: 'Follow what comes into the tiers and leaves them, until Ctrl-C',
    about:
      'One line whenever blocks are stored in a tier or removed from it: the first of them, ' +
      'whose they are, how many, and their tokens. Blocks that follow each other share a line.',
    examples: [
      ['prefixd events', 'as it happens'],
      ['prefixd events --json | jq -r .type', 'one JSON object per line'],
    ],
  },
  pin: {
    brief: 'Keep a prefix from eviction, for a time or until it is unpinned',
    arguments: '[<id>]',
    about:
      'Keeps all that the prefix stands on, on the ssd where there is one, also over restarts. ' +
      'Pins may take half of each tier. Without an id it lists what is pinned; one that says ' +
      '`not stored` waits until its prompt is computed again.',
    examples: [
      ['prefixd pin 9f2c', 'until it is unpinned'],
      ['prefixd pin 9f2c --ttl 7d', 'for a week'],
      ['prefixd pin', 'what is pinned, and how much room that takes'],
    ],
  },
  unpin: {
    brief: 'Let a pinned prefix be evicted again',
    arguments: '<id>',
    about: 'Nothing goes at once: its room is used when it is needed.',
    examples: [['prefixd unpin 9f2c', 'the beginning of a pinned id']],
  },
  budget: {
    brief: 'Show or change what each tier may take, while the service runs',
    about:
      'Without a size it shows the limits, and what is used and held. A smaller tier lets go ' +
      'what is least worth keeping and gives its end back to the system; what requests use or ' +
      'pins keep is waited for. Changes last until the service ends.',
    examples: [
      ['prefixd budget', 'limits, what is used, and what is still shrinking'],
      ['prefixd budget --ssd 10GiB', 'a smaller or larger file'],
      ['prefixd budget --ram 2GiB --ssd-writes-per-day 20GiB', 'several at once, or none of them'],
      ['prefixd budget --share tenant:ci=10%', 'what one API key or its group may hold'],
    ],
  },
  'sessions ls': {
    brief: 'List the sessions that are remembered',
    about:
      'One line for each id that requests came with, and where its latest prompt ended. IN RAM ' +
      'FOR is how long a pause still keeps it there.',
    examples: [['prefixd sessions ls', 'the latest first']],
  },
  'sessions pause': {
    brief: 'Keep the prefix of a session in RAM while it waits for something',
    arguments: '<id>',
    about: 'Half of the RAM tier may be kept at most, for a day at most.',
    examples: [['prefixd sessions pause 7be1 --for 20m', 'a tool of the agent runs']],
  },
  'sessions resume': {
    brief: 'Bring the prefix of a session back into RAM before its next request',
    arguments: '<id>',
    about: 'Ends when it is there, and keeps it there for a minute.',
    examples: [['prefixd sessions resume 7be1', 'the tool is done']],
  },
  'sessions fork': {
    brief: 'Let a second session go on where this one is',
    arguments: '<id> <new-id>',
    about: 'The two share what they have in common, without copies. Kept for 5 minutes.',
    examples: [['prefixd sessions fork 7be1 7be1-b', 'then send requests as 7be1-b']],
  },
  'sessions end': {
    brief: 'Forget a session, and let what only it has go first',
    arguments: '<id>',
    about: 'What others share, what another session goes on from, and what is pinned, stays.',
    examples: [
      ['prefixd sessions end 7be1', 'its room is used when it is needed'],
      ['prefixd sessions end 7be1 --evict', 'it is free at once'],
    ],
  },
  advise: {
    brief: 'Say what more RAM or SSD would have served',
    about:
      'Requests of the last seven days that wanted what had been evicted, and how much larger ' +
      'the tier would have had to be to keep it. Where nothing evicted was wanted, it says so.',
    examples: [['prefixd advise', 'tokens by gibibytes']],
  },
  evict: {
    brief: 'Free stored prefixes, after saying what would go',
    arguments: '[<id>…]',
    about:
      'Choose in exactly one way: ids, --model, --session, --tenant, --namespace, ' +
      '--older-than, --tier or --all. Shows first what it would free and asks on a terminal; ' +
      'elsewhere it needs --yes. What a request uses stays, and what is pinned goes with ' +
      '--force only. --tier ram clears memory and keeps the copies on the ssd.',
    examples: [
      ['prefixd evict 9f2c 51aa', 'two prefixes; what others share stays'],
      ['prefixd evict --older-than 7d --dry-run', 'what was not used for a week'],
      ['prefixd evict --all --yes', 'everything, without asking'],
    ],
  },
  simulate: {
    brief: 'Replay a trace: what a tier of another size would have served',
    arguments: '<trace>',
    about:
      'Takes what `serve --record FILE` wrote, or a trace in the format of Mooncake. OPTIMUM ' +
      'looks into the future: no policy serves more. Sizes are of one tier that holds all; ' +
      'nothing is computed and no service asked. Ctrl-C ends it.',
    examples: [
      ['prefixd simulate trace.jsonl', 'sizes from a 64th of all blocks to all of them'],
      ['prefixd simulate trace.jsonl --sizes 4GiB,8GiB,16GiB', 'would more memory help?'],
      ['prefixd simulate trace.jsonl --policy lru,retention --json', 'figures for a program'],
    ],
  },
  verify: {
    brief: 'Read all that is stored, and say what is not as it was',
    about:
      'Checks every record: its sums, its token ids against its name, what it continues, and ' +
      'whose slots it has. A running service does it beside its requests, which go first; ' +
      '--offline looks into a directory that no service has open. Exit code 5 when something is ' +
      'damaged. Ctrl-C ends it.',
    examples: [
      ['prefixd verify', 'of the running service'],
      ['prefixd verify --repair', 'takes out what is damaged, and frees leaks'],
      ['prefixd verify --offline --dir /fast/prefixd', 'a directory, without a service'],
    ],
  },
  export: {
    brief: 'Write prefixes into a file that another service can import',
    arguments: '<id>…',
    about:
      'Takes beginnings of ids; prefixes of one model and one key go into one file. It is signed ' +
      'with a key of the service, and gets its name when it is whole.',
    examples: [
      ['prefixd export 9f2c -o rules.prefixd', 'one prefix, with all that it stands on'],
      ['prefixd export 9f2c 51aa -o both.prefixd', 'what they share is in it once'],
    ],
  },
  import: {
    brief: 'Take prefixes from a file of `prefixd export`',
    arguments: '<file>',
    about:
      'They are hits at once, for the key that imports them. Refused with exit code 6 where the ' +
      'model, the engine or its settings are others, and with 3 where the signer is not known: ' +
      'the directory’s own key, or a line of its file trusted-signers.',
    examples: [
      ['prefixd import rules.prefixd', 'of a service of yours'],
      ['prefixd import rules.prefixd --trust', 'whoever has signed it'],
    ],
  },
  clear: {
    brief: 'Free everything that is stored, after asking',
    about:
      'The same as evict --all: both tiers. What is pinned, or in use, stays, and so do the ' +
      'counters. POST /reset_prefix_cache does it for scripts.',
    examples: [
      ['prefixd clear --dry-run', 'what would go'],
      ['prefixd clear --yes', 'without asking'],
    ],
  },
  warm: {
    brief: 'Compute and store prompts before anybody waits for them',
    about:
      'Sends request bodies, of chat completions, completions, messages or responses, that are ' +
      'computed without an answer, one after another, and says of each how many tokens were ' +
      'computed, restored and saved. Bodies must be those that the client sends, to the letter.',
    examples: [
      ['prefixd warm --file body.json', 'one body'],
      ['prefixd warm --dir prompts/', 'every .json file of a folder, in the order of names'],
      ['prefixd warm --file body.json --dialect messages', 'Anthropic’s, without a system prompt'],
    ],
  },
  'models pull': {
    brief: 'Fetch a model before its first use',
    arguments: '<model>',
    about: 'Resumes where an earlier pull stopped, and checks the sum before the file is used.',
    examples: [
      ['prefixd models pull smollm2-135m', 'a name of the catalogue'],
      ['prefixd models pull hf:owner/repo/file.gguf', 'a file of the hub'],
      ['prefixd models pull hf:owner/repo', 'a repository for mlx'],
    ],
  },
  'models convert': {
    brief: 'Make a model for mlx out of a GGUF file',
    arguments: '<model>',
    about:
      'Of llama, qwen2 and qwen3 models in Q4_0, Q4_1, Q8_0, F16, BF16 or F32; what cannot be ' +
      'converted exactly is refused by name. The result is called NAME-mlx, and serve --engine ' +
      'mlx finds it as NAME too. Ctrl-C leaves nothing.',
    examples: [
      ['prefixd models convert smollm2-135m --to mlx', 'becomes smollm2-135m-mlx'],
      ['prefixd models convert qwen.gguf --to mlx --out qwen', 'a folder of yours'],
    ],
  },
  'models ls': {
    brief: 'List the models on this disk and in the catalogue',
    about:
      'Also those that other programs already have here; `serve --model` takes each name. ' +
      '--long reads from each file what a token and a context take of the memory.',
    examples: [
      ['prefixd models ls', 'names, sizes and where they lie'],
      ['prefixd models ls --long', 'bytes of KV cache: a token, 8,192 and 32,768 of them'],
    ],
  },
  'models rm': {
    brief: 'Delete a model that prefixd pulled',
    arguments: '<name>',
    about:
      'Models that belong to other programs stay, and those that a running service uses, ' +
      'unless --force says otherwise. Asks on a terminal; elsewhere needs --yes.',
    examples: [['prefixd models rm smollm2-135m', 'it is pulled again when it is needed']],
  },
  'engines install': {
    brief: 'Install an engine that does not come with prefixd',
    arguments: '<engine>',
    about:
      'mlx needs Python 3.11 or newer, or uv, which brings one; about 80 MB are loaded. It is ' +
      'whole or not at all: Ctrl-C leaves nothing. Run it again after an update of prefixd, and ' +
      'restart services that use it.',
    examples: [
      ['prefixd engines install mlx', 'Metal on Apple silicon, the CPU on Linux'],
      ['prefixd engines install mlx --cuda', 'an NVIDIA GPU on Linux'],
    ],
  },
  'engines ls': {
    brief: 'List the engines, where they lie and what they compute on',
    about:
      'BLAS is what multiplies float32 on a CPU. STATE is `stale` for an engine that was ' +
      'installed by another version of prefixd; `engines install` renews it.',
    examples: [['prefixd engines ls', 'also those that are not installed']],
  },
  'engines rm': {
    brief: 'Delete an engine that prefixd installed',
    arguments: '<engine>',
    about:
      'What was computed with it stays stored. Refused while a running service uses it, unless ' +
      '--force says otherwise. Asks on a terminal; elsewhere needs --yes.',
    examples: [['prefixd engines rm mlx', 'frees about 400 MB']],
  },
  doctor: {
    brief: 'Look at this machine: what prefixd needs, and what is missing',
    about:
      'One line for each thing, and what to do where something is wrong. Asks no service; ' +
      'exit code 1 when something must be corrected before prefixd can run.',
    examples: [['prefixd doctor', 'Node, engines, Python, memory, disk']],
  },
  config: {
    brief: 'Show every setting, and where its value comes from',
    about: 'Takes the flags of `serve`, to see what they would do. Asks no service.',
    examples: [
      ['prefixd config', 'effective values'],
      ['PREFIXD_RAM=2GiB prefixd config --port 9000', 'with a variable and a flag'],
    ],
  },
} as const satisfies Record<string, CommandHelp>

/** What bare `prefixd` prints: the way from nothing to a warm cache, and back. */
export function overview(version: string): string {
  return `prefixd ${version}: never prefill the same prefix twice.

  An OpenAI-compatible endpoint with a KV cache that survives: the beginning of a
  prompt that was computed once comes back from memory or disk, also after a
  restart.

START
  prefixd serve                       serve the default model on port 8787
  export OPENAI_BASE_URL=http://127.0.0.1:8787/v1 OPENAI_API_KEY=local

LOOK
  prefixd stats --watch               hit rates, tiers and savings
  prefixd ls                          the stored prefixes
  prefixd inspect <id>                one prefix, block by block
  prefixd ps                          the workers behind the endpoint

KEEP HOUSE
  prefixd pin <id> --ttl 7d           keep a prefix from eviction
  prefixd sessions ls|pause|end       sessions of agents: keep them ready, end them
  prefixd evict --older-than 7d       free what nobody used for a week
  prefixd budget --ssd 10GiB          change what a tier may take, while it is in use
  prefixd simulate trace.jsonl        what more memory or disk would have served
  prefixd verify [--repair]           read all that is stored, and check it
  prefixd export|import               move prefixes to another machine
  prefixd warm --file body.json       compute a prompt before anybody waits for it
  prefixd models pull|convert|ls|rm   the models on this disk
  prefixd engines install|ls|rm       the engines: llamacpp is here, mlx is installed
  prefixd doctor                      what this machine has, and what is missing
  prefixd config                      every setting, and where it comes from

  prefixd help <command>              explain a command, with examples
  prefixd --version                   print the version

Commands that ask a running service take --url; what shows data takes --json.
`
}
