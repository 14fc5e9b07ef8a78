/** What the harness knows of an agent: where it comes from, how it is pointed here and run. */

export type AgentId = 'claude' | 'opencode' | 'codex'

/** Where one agent lives for one run. Nothing of this user's own settings is in it. */
export interface Place {
  readonly home: string
  readonly project: string
  /** The address that the agent is given, without a path. */
  readonly url: string
  readonly model: string
  readonly contextTokens: number
  /** Most tokens of an answer, where the agent has a setting for it. */
  readonly answerTokens: number
}

export interface Turn {
  readonly prompt: string
  /** False: it opens a session. */
  readonly continues: boolean
}

export interface Agent {
  readonly id: AgentId
  readonly title: string
  /** An exact version: what one version sends says little about the next one. */
  readonly packageName: string
  readonly version: string
  /** The program inside `node_modules`, of this platform's own package; null: there is none. */
  executable(platform: NodeJS.Platform, arch: string): string | null
  /** Writes the agent's settings into its home. */
  prepare(place: Place): void
  env(place: Place): Readonly<Record<string, string>>
  words(turn: Turn, place: Place): readonly string[]
  /** Cached tokens as the agent itself printed them behind a turn; null: it did not. */
  ownCachedTokens(output: string): number | null
  /** What it counts in that figure. */
  readonly counts: 'turn' | 'session'
}

/** Lines that are JSON objects; everything else that an agent prints is passed over. */
export function jsonLines(output: string): Record<string, unknown>[] {
  return output.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return []
    try {
      return [JSON.parse(line) as Record<string, unknown>]
    } catch {
      return []
    }
  })
}
