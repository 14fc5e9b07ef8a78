/**
 * What `prefixd serve` and the composition root (src/main.ts) say to each other. Types only, so
 * that no other command loads the server.
 */
import type { VerifyEventJson } from '../api/native/upkeep-schema.ts'
import type { Config } from '../config/schema.ts'
import type { Dialect, Receipt } from '../pipeline/types.ts'

/** One answered request, for the line that `serve` prints. */
export interface RequestDone {
  readonly route: Dialect
  readonly model: string
  /** Null when the request failed before the engine confirmed anything. */
  readonly receipt: Receipt | null
  /** Message of the error, where the request failed. */
  readonly error?: string
}

/** The service's way to the terminal. */
export interface ServiceIo {
  /** Diagnostics, one line, no newline at its end. */
  log(line: string): void
  requestDone(done: RequestDone): void
}

export interface RunningService {
  /** Where it listens, without a path, e.g. `http://127.0.0.1:8787`. */
  readonly url: string
  /** An admin key of this run alone; null while no keys are in use. */
  readonly apiKey: string | null
  /** What was asked for and is not so, for the banner. */
  readonly warnings: readonly string[]
  /** Drains the requests under way and writes what is acknowledged. */
  close(): Promise<void>
}

export interface OfflineOptions {
  /** Take out what is damaged, with all that depends on it. */
  readonly repair: boolean
  /** Something was set aside, in a sentence for people. */
  readonly warn: (message: string) => void
}

export interface ServiceModule {
  /** Resolves when the service listens. Rejects with a typed error when it cannot start. */
  serve(config: Config, io: ServiceIo): Promise<RunningService>
  /**
   * Reads all that is stored in the directory, which no service may have open. Rejects with
   * `PREFIXD_E_CACHE_LOCKED` where one has.
   */
  verifyOffline(config: Config, options: OfflineOptions): AsyncIterable<VerifyEventJson>
  /** Throws a typed error where service and worker could not share memory. */
  probeSharedMemory(): void
}
