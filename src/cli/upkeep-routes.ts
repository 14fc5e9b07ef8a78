/** The commands that look at, move, fill and empty all that is stored. */
import { buildCommand } from '@stricli/core'
import { limits } from '../config/limits.ts'
import { readShare, shareForm } from '../config/shares.ts'
import { parseSize } from '../config/sizes.ts'
import type { Dialect } from '../pipeline/types.ts'
import type { BudgetFlags } from './commands/budget.ts'
import type { ClearFlags } from './commands/evict.ts'
import type { ExportFlags, ImportFlags } from './commands/transfer.ts'
import type { VerifyFlags } from './commands/verify.ts'
import type { WarmFlags } from './commands/warm.ts'
import { type ClientFlags, clientFlags } from './connection.ts'
import type { CliContext } from './context.ts'
import { argument, docs, onOff, text } from './route-parts.ts'

export const verify = buildCommand<VerifyFlags, [], CliContext>({
  docs: docs('verify'),
  parameters: {
    flags: {
      repair: onOff('Take out what is damaged, with all that needs it, and free leaks'),
      offline: onOff('Look into the directory itself; no service may have it open'),
      dir: text('folder', 'With --offline: the directory, in place of the configured one'),
      'encrypt-key-file': text('file', 'With --offline: the key of an encrypted directory'),
      ...clientFlags,
    },
  },
  loader: async () => (await import('./commands/verify.ts')).verify,
})

export const exportPrefixes = buildCommand<ExportFlags, string[], CliContext>({
  docs: docs('export'),
  parameters: {
    flags: {
      out: { kind: 'parsed', parse: String, placeholder: 'file', brief: 'The file to write' },
      ...clientFlags,
    },
    aliases: { o: 'out' },
    positional: {
      kind: 'array',
      parameter: argument('id', 'Beginnings of ids'),
      maximum: limits.exportIds,
    },
  },
  loader: async () => (await import('./commands/transfer.ts')).exportPrefixes,
})

export const importPrefixes = buildCommand<ImportFlags, [string], CliContext>({
  docs: docs('import'),
  parameters: {
    flags: { trust: onOff('Take it, whoever has signed it'), ...clientFlags },
    positional: { kind: 'tuple', parameters: [argument('file', 'What `prefixd export` wrote')] },
  },
  loader: async () => (await import('./commands/transfer.ts')).importPrefixes,
})

export const events = buildCommand<ClientFlags, [], CliContext>({
  docs: docs('events'),
  parameters: { flags: clientFlags },
  loader: async () => (await import('./commands/events.ts')).events,
})

export const clear = buildCommand<ClearFlags, [], CliContext>({
  docs: docs('clear'),
  parameters: {
    flags: {
      dryRun: onOff('Only say what would go'),
      yes: onOff('Do not ask'),
      ...clientFlags,
    },
  },
  loader: async () => (await import('./commands/evict.ts')).clear,
})

/** As the setting `share`; here its mistakes need no service. */
function parseShare(input: string): string {
  if (input === 'none' || readShare(input) !== null) return input
  throw new Error(`it must be ${shareForm}; or none, which lifts all of them`)
}

function parseBudget(input: string): number {
  const sizeBytes = parseSize(input)
  if (sizeBytes !== null) return sizeBytes
  throw new Error('it must be a size such as 8GiB, 500MB or 1048576')
}

const size = (brief: string) =>
  ({ kind: 'parsed', parse: parseBudget, optional: true, placeholder: 'size', brief }) as const

export const budget = buildCommand<BudgetFlags, [], CliContext>({
  docs: docs('budget'),
  parameters: {
    flags: {
      ram: size('Of the RAM tier; at most what the service took at its start'),
      ssd: size('Of the SSD tier'),
      ssdWritesPerDay: size('Most bytes written to the SSD in 24 hours; 0: no limit'),
      share: {
        kind: 'parsed',
        parse: parseShare,
        optional: true,
        variadic: true,
        placeholder: 'share',
        brief: 'In place of all shares, e.g. tenant:ci=10%; again for more, none for none',
      },
      ...clientFlags,
    },
  },
  loader: async () => (await import('./commands/budget.ts')).budget,
})

const dialects: readonly Dialect[] = ['chat', 'completions', 'messages', 'responses']

function parseDialect(input: string): Dialect {
  const known = dialects.find((dialect) => dialect === input)
  if (known !== undefined) return known
  throw new Error(`it must be one of ${dialects.join(', ')}`)
}

export const warm = buildCommand<WarmFlags, [], CliContext>({
  docs: docs('warm'),
  parameters: {
    flags: {
      file: text('file', 'A request body, as a client would send it'),
      dir: text('folder', 'A folder of such files, *.json'),
      dialect: {
        kind: 'parsed',
        parse: parseDialect,
        optional: true,
        placeholder: 'name',
        brief: 'What they speak: chat, completions, messages or responses',
      },
      ...clientFlags,
    },
  },
  loader: async () => (await import('./commands/warm.ts')).warm,
})
