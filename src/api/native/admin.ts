/** Routes that show and change what is stored: `/v1/cache/*`, and `/v1/workers`. */
import { PrefixdError } from '../../errors.ts'
import type { EvictSelector, PrefixQuery } from '../../pipeline/types.ts'
import type { ApiContext, ApiLimits, Server } from '../context.ts'
import { readPageLength } from './page.ts'
import {
  toCacheStats,
  toEvictReport,
  toPin,
  toPinList,
  toPrefixDetail,
  toPrefixPage,
  toWorker,
} from './render.ts'
import {
  type EvictReportJson,
  type EvictRequestJson,
  EvictRequestSchema,
  type PinJson,
  type PinListJson,
  type PinRequestJson,
  PinRequestSchema,
  type PrefixDetailJson,
  type PrefixPageJson,
  PrefixQuerySchema,
  type PrefixQueryString,
  ResetQuerySchema,
  ResetRequestSchema,
  type WorkerListJson,
} from './schema.ts'

export function adminRoutes(server: Server, { service, limits }: ApiContext): void {
  server.get('/v1/workers', async (): Promise<WorkerListJson> => {
    return { object: 'list', data: service.workers().map(toWorker) }
  })
  server.get('/v1/cache/stats', async () =>
    toCacheStats(service.cache.stats(), service.budgets.read().shares),
  )
  server.get(
    '/v1/cache/prefixes',
    { schema: { querystring: PrefixQuerySchema } },
    async (request): Promise<PrefixPageJson> =>
      toPrefixPage(service.cache.prefixes(readQuery(request.query, limits))),
  )
  server.get<{ Params: { id: string } }>(
    '/v1/cache/prefixes/:id',
    async (request): Promise<PrefixDetailJson> =>
      toPrefixDetail(service.cache.prefix(request.params.id)),
  )
  server.post(
    '/v1/cache/evict',
    { schema: { body: EvictRequestSchema } },
    async (request): Promise<EvictReportJson> => {
      const selector = readSelector(request.body)
      const { dry_run: dryRun = false, force = false } = request.body
      return toEvictReport(await service.cache.evict(selector, { dryRun, force }))
    },
  )
  server.get('/v1/cache/pins', async (): Promise<PinListJson> => toPinList(service.cache.pins()))
  server.put<{ Params: { id: string }; Body: PinRequestJson | null }>(
    '/v1/cache/pins/:id',
    { schema: { body: PinRequestSchema } },
    async ({ params, body }): Promise<PinJson> => {
      const seconds = body?.ttl_seconds ?? null
      return toPin(await service.cache.pin(params.id, seconds === null ? null : seconds * 1000))
    },
  )
  server.delete<{ Params: { id: string } }>(
    '/v1/cache/pins/:id',
    async ({ params }): Promise<PinJson> => toPin(await service.cache.unpin(params.id)),
  )
  // vLLM's name for it, which benchmark scripts call between their runs.
  server.post(
    '/reset_prefix_cache',
    { schema: { body: ResetRequestSchema, querystring: ResetQuerySchema } },
    async (): Promise<EvictReportJson> =>
      toEvictReport(await service.cache.evict({ all: true }, { dryRun: false, force: false })),
  )
}

function readQuery(query: PrefixQueryString, { prefixesPerPage }: ApiLimits): PrefixQuery {
  return {
    sort: query.sort ?? 'last',
    limit: readPageLength(query.limit, prefixesPerPage),
    ...(query.model === undefined ? {} : { model: query.model }),
    ...(query.tier === undefined ? {} : { tier: query.tier }),
    ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
  }
}

const ways = [
  'ids',
  'model',
  'session',
  'tenant',
  'namespace',
  'older_than_ms',
  'tier',
  'all',
] as const

/** Two ways at once could mean "either" or "both"; what deletes does not guess. */
function readSelector(body: EvictRequestJson): EvictSelector {
  const chosen = ways.filter((way) => body[way] !== undefined)
  if (chosen.length !== 1) {
    const found = chosen.length === 0 ? 'none' : chosen.join(' and ')
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `The body must have exactly one of ${ways.join(', ')}; it has ${found}.`,
      { field: chosen[1] ?? 'ids', next: 'Add "dry_run": true to see first what would go.' },
    )
  }
  if (body.ids) return { ids: body.ids }
  for (const way of ['model', 'session', 'tenant', 'namespace'] as const) {
    if (body[way] !== undefined) return { [way]: body[way] }
  }
  if (body.older_than_ms !== undefined) return { olderThanMs: body.older_than_ms }
  if (body.tier) return { tier: body.tier }
  return { all: true }
}
