/** Every command with its flags. What a command does is loaded only when it runs. */
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { PrefixSort } from '../api/native/schema.ts'
import { limits } from '../config/limits.ts'
import { parseSize } from '../config/sizes.ts'
import { type Policy, policies } from '../simulate/policies.ts'
import type { ConfigFlags } from './commands/config.ts'
import type { DoctorFlags } from './commands/doctor.ts'
import type { EnginesInstallFlags, EnginesLsFlags, EnginesRmFlags } from './commands/engines.ts'
import type { EvictFlags } from './commands/evict.ts'
import type { InspectFlags } from './commands/inspect.ts'
import type { LsFlags } from './commands/ls.ts'
import type { ModelsLsFlags, ModelsPullFlags, ModelsRmFlags } from './commands/models.ts'
import type { ModelsConvertFlags } from './commands/models-convert.ts'
import type { PinFlags } from './commands/pin.ts'
import type { ServeFlags } from './commands/serve.ts'
import type { SimulateFlags } from './commands/simulate.ts'
import type { StatsFlags } from './commands/stats.ts'
import type { WhyFlags } from './commands/why.ts'
import { type ClientFlags, clientFlags } from './connection.ts'
import type { CliContext } from './context.ts'
import { age, argument, docs, onOff, text } from './route-parts.ts'
import { sessions } from './session-routes.ts'
import { configFlags, serveFlags } from './setting-flags.ts'
import {
  budget,
  clear,
  events,
  exportPrefixes,
  importPrefixes,
  verify,
  warm,
} from './upkeep-routes.ts'

const pinMostMs = limits.cacheTtlSecondsMax * 1000

const tier = (brief: string) =>
  ({ kind: 'enum', values: ['ram', 'ssd'] as const, optional: true, brief }) as const

/** A whole number of at least 1, as a flag with a default. */
const count = (max: number, byDefault: number, brief: string) =>
  ({
    kind: 'parsed',
    parse: (input: string) => {
      const value = /^\d{1,9}$/.test(input) ? Number(input) : Number.NaN
      if (value >= 1 && value <= max) return value
      throw new Error(`it must be a whole number from 1 to ${max}`)
    },
    default: String(byDefault),
    placeholder: 'count',
    brief,
  }) as const

function parseSizeFlag(input: string): number {
  const sizeBytes = parseSize(input)
  if (sizeBytes !== null && sizeBytes > 0) return sizeBytes
  throw new Error('it must be a size such as 8GiB, 500MB or 1048576')
}

function parseSizesFlag(input: string): number[] {
  const sizes = input.split(',').map(parseSizeFlag)
  if (sizes.length <= limits.traceSizes) return sizes
  throw new Error(`it must be at most ${limits.traceSizes} sizes`)
}

function parsePoliciesFlag(input: string): Policy[] {
  const named = new Set(input.split(','))
  const known = policies.filter((policy) => named.has(policy))
  if (known.length === named.size) return known
  throw new Error(`it must be some of ${policies.join(', ')}, with commas between them`)
}

const json = onOff('Print JSON')

const serve = buildCommand<ServeFlags, [], CliContext>({
  docs: docs('serve'),
  parameters: { flags: serveFlags },
  loader: async () => (await import('./commands/serve.ts')).serve,
})

const ps = buildCommand<ClientFlags, [], CliContext>({
  docs: docs('ps'),
  parameters: { flags: clientFlags },
  loader: async () => (await import('./commands/ps.ts')).ps,
})

const stats = buildCommand<StatsFlags, [], CliContext>({
  docs: docs('stats'),
  parameters: {
    flags: {
      watch: onOff('Keep showing them until Ctrl-C'),
      interval: count(3600, 1, 'Seconds between two looks with --watch'),
      since: age('What was served in this time, also by earlier runs, e.g. 1h, 7d'),
      ...clientFlags,
    },
  },
  loader: async () => (await import('./commands/stats.ts')).stats,
})

const sorts: readonly PrefixSort[] = ['last', 'size', 'hits', 'age', 'tokens']

const ls = buildCommand<LsFlags, [], CliContext>({
  docs: docs('ls'),
  parameters: {
    flags: {
      model: text('name', 'Only prefixes of this model'),
      tier: tier('Only prefixes with a copy there'),
      sort: { kind: 'enum', values: sorts, default: 'last', brief: 'What comes first' },
      limit: count(limits.listedPrefixes, 20, 'Prefixes to show at most'),
      text: onOff('Show how each prompt begins, where keep-text is on'),
      ...clientFlags,
    },
  },
  loader: async () => (await import('./commands/ls.ts')).ls,
})

const inspect = buildCommand<InspectFlags, [string], CliContext>({
  docs: docs('inspect'),
  parameters: {
    flags: {
      blocks: onOff('Every block on its own line'),
      text: onOff('Show how the prompt begins, where keep-text is on'),
      ...clientFlags,
    },
    positional: { kind: 'tuple', parameters: [argument('id', 'Beginning of the id')] },
  },
  loader: async () => (await import('./commands/inspect.ts')).inspect,
})

const why = buildCommand<WhyFlags, [string?], CliContext>({
  docs: docs('why'),
  parameters: {
    flags: { last: onOff('The latest request; so it is without an id'), ...clientFlags },
    positional: {
      kind: 'tuple',
      parameters: [{ ...argument('request-id', 'x-request-id of its reply'), optional: true }],
    },
  },
  loader: async () => (await import('./commands/why.ts')).why,
})

const advise = buildCommand<ClientFlags, [], CliContext>({
  docs: docs('advise'),
  parameters: { flags: clientFlags },
  loader: async () => (await import('./commands/advise.ts')).advise,
})

const evict = buildCommand<EvictFlags, string[], CliContext>({
  docs: docs('evict'),
  parameters: {
    flags: {
      model: text('name', 'Everything of this model'),
      session: text('id', 'What only this session has'),
      tenant: text('name', 'Everything that this key or group has stored'),
      namespace: text('digest', 'Everything of this namespace, as inspect names it'),
      olderThan: age('What was not used for this long, e.g. 12h, 7d'),
      tier: tier('Everything in this tier; copies in the other one stay'),
      all: onOff('Everything in both tiers'),
      force: onOff('What is pinned goes too'),
      dryRun: onOff('Only say what would go'),
      yes: onOff('Do not ask'),
      ...clientFlags,
    },
    positional: {
      kind: 'array',
      parameter: argument('id', 'Beginnings of ids'),
      maximum: limits.evictIds,
    },
  },
  loader: async () => (await import('./commands/evict.ts')).evict,
})

const pin = buildCommand<PinFlags, [string?], CliContext>({
  docs: docs('pin'),
  parameters: {
    flags: {
      ttl: age('How long, e.g. 12h, 7d; without it until it is unpinned', pinMostMs),
      ...clientFlags,
    },
    positional: {
      kind: 'tuple',
      parameters: [{ ...argument('id', 'Beginning of the id'), optional: true }],
    },
  },
  loader: async () => (await import('./commands/pin.ts')).pin,
})

const unpin = buildCommand<ClientFlags, [string], CliContext>({
  docs: docs('unpin'),
  parameters: {
    flags: clientFlags,
    positional: { kind: 'tuple', parameters: [argument('id', 'Beginning of the id')] },
  },
  loader: async () => (await import('./commands/pin.ts')).unpin,
})

const modelsPull = buildCommand<ModelsPullFlags, [string], CliContext>({
  docs: docs('models pull'),
  parameters: {
    flags: { json },
    positional: {
      kind: 'tuple',
      parameters: [argument('model', 'Name, hf:owner/repo/file or hf:owner/repo')],
    },
  },
  loader: async () => (await import('./commands/models.ts')).modelsPull,
})

const modelsConvert = buildCommand<ModelsConvertFlags, [string], CliContext>({
  docs: docs('models convert'),
  parameters: {
    flags: {
      to: { kind: 'enum', values: ['mlx'] as const, brief: 'What it becomes' },
      dtype: {
        kind: 'enum',
        values: ['stored', 'float32', 'float16'] as const,
        optional: true,
        brief: 'Type of the weights; stored, the default: as the file has them',
      },
      out: text('folder', 'Where the folder is made, in place of the models folder'),
      yes: onOff('Install the engine that is missing without asking'),
      json,
    },
    positional: {
      kind: 'tuple',
      parameters: [argument('model', 'Path or name of a GGUF file')],
    },
  },
  loader: async () => (await import('./commands/models-convert.ts')).modelsConvert,
})

const modelsLs = buildCommand<ModelsLsFlags, [], CliContext>({
  docs: docs('models ls'),
  parameters: {
    flags: { long: onOff('Show what each model on this disk takes of the memory'), json },
  },
  loader: async () => (await import('./commands/models.ts')).modelsLs,
})

const modelsRm = buildCommand<ModelsRmFlags, [string], CliContext>({
  docs: docs('models rm'),
  parameters: {
    flags: { yes: onOff('Do not ask'), force: onOff('Also what a service uses'), json },
    positional: { kind: 'tuple', parameters: [argument('name', 'Name of `prefixd models ls`')] },
  },
  loader: async () => (await import('./commands/models.ts')).modelsRm,
})

const config = buildCommand<ConfigFlags, [], CliContext>({
  docs: docs('config'),
  parameters: { flags: configFlags },
  loader: async () => (await import('./commands/config.ts')).config,
})

const enginesInstall = buildCommand<EnginesInstallFlags, [string], CliContext>({
  docs: docs('engines install'),
  parameters: {
    flags: { cuda: onOff('For an NVIDIA GPU, on Linux'), json },
    positional: { kind: 'tuple', parameters: [argument('engine', 'mlx')] },
  },
  loader: async () => (await import('./commands/engines.ts')).enginesInstall,
})

const enginesLs = buildCommand<EnginesLsFlags, [], CliContext>({
  docs: docs('engines ls'),
  parameters: { flags: { json } },
  loader: async () => (await import('./commands/engines.ts')).enginesLs,
})

const enginesRm = buildCommand<EnginesRmFlags, [string], CliContext>({
  docs: docs('engines rm'),
  parameters: {
    flags: { yes: onOff('Do not ask'), force: onOff('Also while a service uses it'), json },
    positional: { kind: 'tuple', parameters: [argument('engine', 'mlx')] },
  },
  loader: async () => (await import('./commands/engines.ts')).enginesRm,
})

const simulate = buildCommand<SimulateFlags, [string], CliContext>({
  docs: docs('simulate'),
  parameters: {
    flags: {
      sizes: {
        kind: 'parsed',
        parse: parseSizesFlag,
        optional: true,
        placeholder: 'sizes',
        brief: 'Sizes of the tier, e.g. 1GiB,4GiB; otherwise parts of what the trace takes',
      },
      policy: {
        kind: 'parsed',
        parse: parsePoliciesFlag,
        default: policies.join(','),
        placeholder: 'policies',
        brief: 'What decides who stays',
      },
      tokenBytes: {
        kind: 'parsed',
        parse: parseSizeFlag,
        default: '128KiB',
        placeholder: 'size',
        brief: 'Bytes of a token, for traces that do not say',
      },
      json,
    },
    positional: { kind: 'tuple', parameters: [argument('trace', 'File of a trace')] },
  },
  loader: async () => (await import('./commands/simulate.ts')).simulate,
})

const doctor = buildCommand<DoctorFlags, [], CliContext>({
  docs: docs('doctor'),
  parameters: { flags: { json } },
  loader: async () => (await import('./commands/doctor.ts')).doctor,
})

const engines = buildRouteMap<string, CliContext>({
  routes: { install: enginesInstall, ls: enginesLs, rm: enginesRm },
  docs: { brief: 'Install, list and delete engines' },
})

const models = buildRouteMap<string, CliContext>({
  routes: { pull: modelsPull, convert: modelsConvert, ls: modelsLs, rm: modelsRm },
  docs: { brief: 'Pull, convert, list and delete models' },
})

export const routes = buildRouteMap<string, CliContext>({
  routes: {
    serve,
    ps,
    stats,
    ls,
    inspect,
    why,
    advise,
    pin,
    unpin,
    budget,
    sessions,
    evict,
    verify,
    export: exportPrefixes,
    import: importPrefixes,
    clear,
    warm,
    events,
    simulate,
    models,
    engines,
    doctor,
    config,
  },
  docs: { brief: 'Never prefill the same prefix twice' },
})
