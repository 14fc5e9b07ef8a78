/** The commands about sessions, which an agent would say over HTTP. */
import { buildCommand, buildRouteMap } from '@stricli/core'
import { limits } from '../config/limits.ts'
import type { SessionsEndFlags, SessionsPauseFlags } from './commands/sessions.ts'
import { type ClientFlags, clientFlags } from './connection.ts'
import type { CliContext } from './context.ts'
import { age, argument, docs, onOff } from './route-parts.ts'

const sessionId = argument('id', 'Id that its requests carry')

const ls = buildCommand<ClientFlags, [], CliContext>({
  docs: docs('sessions ls'),
  parameters: { flags: clientFlags },
  loader: async () => (await import('./commands/sessions.ts')).sessionsLs,
})

const pause = buildCommand<SessionsPauseFlags, [string], CliContext>({
  docs: docs('sessions pause'),
  parameters: {
    flags: {
      for: age('How long, e.g. 30s, 10m; without it 5 minutes', limits.sessionPauseMsMax),
      ...clientFlags,
    },
    positional: { kind: 'tuple', parameters: [sessionId] },
  },
  loader: async () => (await import('./commands/sessions.ts')).sessionsPause,
})

const resume = buildCommand<ClientFlags, [string], CliContext>({
  docs: docs('sessions resume'),
  parameters: { flags: clientFlags, positional: { kind: 'tuple', parameters: [sessionId] } },
  loader: async () => (await import('./commands/sessions.ts')).sessionsResume,
})

const fork = buildCommand<ClientFlags, [string, string], CliContext>({
  docs: docs('sessions fork'),
  parameters: {
    flags: clientFlags,
    positional: {
      kind: 'tuple',
      parameters: [sessionId, argument('new-id', 'Id of the new session')],
    },
  },
  loader: async () => (await import('./commands/sessions.ts')).sessionsFork,
})

const end = buildCommand<SessionsEndFlags, [string], CliContext>({
  docs: docs('sessions end'),
  parameters: {
    flags: { evict: onOff('At once; otherwise when room is needed'), ...clientFlags },
    positional: { kind: 'tuple', parameters: [sessionId] },
  },
  loader: async () => (await import('./commands/sessions.ts')).sessionsEnd,
})

export const sessions = buildRouteMap<string, CliContext>({
  routes: { ls, pause, resume, fork, end },
  docs: { brief: 'List sessions of agents, keep them in RAM, fork and end them' },
})
