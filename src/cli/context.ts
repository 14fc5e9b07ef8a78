/**
 * Everything that a command may touch of its process, injected: a test of the CLI is a function
 * call, and no command reads `process` on its own.
 */
import { styleText } from 'node:util'
import type { CommandContext, StricliProcess } from '@stricli/core'
import type { Surroundings } from '../config/paths.ts'
import type * as environment from '../environment/index.ts'
import type * as models from '../models/index.ts'
import type { ServiceModule } from './service.ts'

/** Where lines go. Human output to `out`, progress and questions to `err`. */
export interface Terminal {
  write(text: string): void
  readonly isTTY: boolean
  /** Cells of a line; Infinity where there is no terminal, so that pipes see whole values. */
  readonly width: number
  /** Follows NO_COLOR, FORCE_COLOR and the terminal's own abilities. */
  readonly color: boolean
}

export interface CliContext extends CommandContext {
  readonly process: StricliProcess
  readonly out: Terminal
  readonly err: Terminal
  /** Environment and folders of the person who runs the command. */
  readonly around: Surroundings
  readonly version: string
  now(): number
  fetch(url: URL, init: RequestInit): Promise<Response>
  /** Resolves with the typed line; null where nobody can be asked. */
  ask(question: string): Promise<string | null>
  /** Resolves after `ms`, or at once when the signal fires. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** Fires at Ctrl-C, for commands that run until then. */
  interrupted(): AbortSignal
  loadModels(): Promise<ModelsDoor>
  loadEnvironment(): Promise<EnvironmentDoor>
  /** Only `serve` and `doctor` call it: it loads the whole server. */
  loadService(): Promise<ServiceModule>
  /**
   * `close` is called when the process is asked to end; the process ends when it has resolved.
   * Resolves with the function that takes this back.
   */
  onShutdown(close: (shutdown: Shutdown) => Promise<void>): Promise<() => void>
}

/** What the CLI asks of src/models. */
export type ModelsDoor = Pick<
  typeof models,
  | 'canBePulled'
  | 'checkRemovable'
  | 'kindOfEngine'
  | 'listModels'
  | 'memoryFigures'
  | 'placeFolder'
  | 'pullModel'
  | 'removeModel'
  | 'resolveModel'
>

/** What the CLI asks of src/environment. */
export type EnvironmentDoor = Pick<
  typeof environment,
  | 'checkMlxRemovable'
  | 'convertGguf'
  | 'examine'
  | 'installMlx'
  | 'listEngines'
  | 'mlxComputer'
  | 'mlxEnvironment'
  | 'removeMlx'
>

/** Why the process ends; both null where a test or a person asked otherwise. */
export interface Shutdown {
  readonly error: unknown
  readonly signal: string | null
}

type Format = Parameters<typeof styleText>[0]

/** Colours `text` where the terminal shows colours. */
export function style(terminal: Terminal, format: Format, text: string): string {
  return terminal.color ? styleText(format, text, { validateStream: false }) : text
}

export function writeLines(terminal: Terminal, lines: readonly string[]): void {
  terminal.write(lines.map((line) => `${line}\n`).join(''))
}

/** The API's JSON, indented, as `--json` promises. */
export function writeJson(terminal: Terminal, value: unknown): void {
  terminal.write(`${JSON.stringify(value, null, 2)}\n`)
}
