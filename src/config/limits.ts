/** Every limit of the product, in one place. Lower layers receive theirs as options from here. */
export const limits = {
  /** Requests that wait for a sequence of one worker; one more is answered with 429. */
  queuedRequests: 64,
  /** A request body: a 200k-token conversation is about 1 MB of JSON, images are larger. */
  bodyBytes: 64 * 1024 * 1024,
  /** Blocks of one prompt: 1 M tokens in blocks of 256. */
  blocksPerPrompt: 4096,
  blockTokensMin: 16,
  blockTokensMax: 4096,
  stopStrings: 16,
  stopStringLength: 512,
  contextTokensMax: 1_048_576,
  /** Bytes of records on their way from the tiers into the engine for one request. */
  restoreWindowBytes: 64 * 1024 * 1024,
  /** Record writes to the SSD under way at once. */
  ssdWritesInFlight: 4,
  ssdReadsInFlight: 4,
  /** The slab file grows in steps of this. */
  slabStepBytes: 256 * 1024 * 1024,
  /** Free space on the file system that the slab never takes. */
  freeDiskFloorBytes: 1024 * 1024 * 1024,
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
  /** SSE comment pings during a long prefill. */
  pingMs: 10_000,
  /** Events of one answer that wait for a slow client before the engine is no longer read. */
  sseBufferBytes: 256 * 1024,
  /** Messages of one chat, and prompts of one completions request. */
  messagesPerRequest: 16_384,
  promptsPerRequest: 64,
  /** Characters of a model name, an id or a cursor in a request. */
  nameLength: 512,
  /** Ids in one evict request, and prefixes on one page. */
  evictIds: 1000,
  prefixesPerPage: 1000,
  /** How long an idle connection may stay open, and how long headers may take. */
  keepAliveMs: 75_000,
  headersMs: 30_000,
} as const

export type Limits = typeof limits
