/** What was served: `/v1/requests` for each caller's own, and totals of everybody for admins. */
import { PrefixdError, shown } from '../../errors.ts'
import type { RequestRecord, RequestTotals, Totals } from '../../pipeline/types.ts'
import type { Caller } from '../auth/caller.ts'
import type { ApiContext, ApiLimits, Server } from '../context.ts'
import { toCacheObject } from '../openai/usage.ts'
import {
  type AdviceJson,
  type RequestJson,
  type RequestListJson,
  RequestQuerySchema,
  type RequestQueryString,
  type TotalsJson,
  TotalsQuerySchema,
  type TotalsReportJson,
} from './history-schema.ts'
import { readPageLength } from './page.ts'
import { toAdviceStep } from './render.ts'

const dayMs = 24 * 3_600_000

/** Admins see everybody's requests, and others what came with their own key or group. */
const whose = ({ isAdmin, tenant }: Caller) => (isAdmin ? {} : { tenant })

export function requestRoutes(server: Server, { service, limits }: ApiContext): void {
  server.get(
    '/v1/requests',
    { schema: { querystring: RequestQuerySchema } },
    async ({ query, caller }): Promise<RequestListJson> => {
      const asked = { ...readQuery(query, limits), ...whose(caller) }
      const { requests, nextCursor } = await service.history.list(asked)
      return { object: 'list', data: requests.map(toRequest), next_cursor: nextCursor }
    },
  )
  server.get<{ Params: { id: string } }>(
    '/v1/requests/:id',
    async ({ params: { id }, caller }): Promise<RequestJson> => {
      const found = await service.history.find(id, whose(caller).tenant)
      if (found !== null) return toRequest(found)
      throw new PrefixdError(
        'PREFIXD_E_REQUEST_NOT_FOUND',
        `No request ${shown(id)} is remembered.`,
        {
          field: 'id',
          next:
            '`prefixd why` explains the last one, GET /v1/requests lists the last ones; replies ' +
            'have theirs as x-request-id.',
        },
      )
    },
  )
}

export function totalsRoutes(server: Server, { service }: ApiContext): void {
  server.get(
    '/v1/cache/totals',
    { schema: { querystring: TotalsQuerySchema } },
    async ({ query }): Promise<TotalsReportJson> => {
      const nowMs = Date.now()
      const sinceMs = query.since_ms === undefined ? dayMs : Number(query.since_ms)
      return toTotalsReport(await service.cache.totals(Math.max(0, nowMs - sinceMs)), nowMs)
    },
  )
}

export function adviceRoutes(server: Server, { service }: ApiContext): void {
  server.get('/v1/cache/advise', async (): Promise<AdviceJson> => {
    const { sinceMs, steps, best } = service.cache.advice()
    return {
      from_ms: sinceMs,
      to_ms: Date.now(),
      steps: steps.map(toAdviceStep),
      best: best && toAdviceStep(best),
    }
  })
}

function readQuery(query: RequestQueryString, { requestsPerPage }: ApiLimits) {
  return {
    limit: readPageLength(query.limit, requestsPerPage),
    ...(query.cursor === undefined ? {} : { cursor: Number(query.cursor) }),
    ...(query.model === undefined ? {} : { model: query.model }),
    ...(query.session === undefined ? {} : { session: query.session }),
    ...(query.status === undefined ? {} : { status: query.status }),
  }
}

const toRequest = ({ plan, receipt, ...request }: RequestRecord): RequestJson => ({
  id: request.id,
  object: 'request',
  at_ms: request.atMs,
  model: request.model,
  tenant: request.tenant,
  session: request.session,
  route: request.route,
  status: request.status,
  error: request.error,
  prompt_tokens: receipt?.promptTokens ?? null,
  generated_tokens: receipt?.generatedTokens ?? null,
  plan: plan && {
    matched_tokens: plan.matchedTokens,
    compute_from: plan.computeFrom,
    restore_ms: plan.estimate.restoreMs,
    prefill_ms: plan.estimate.prefillMs,
  },
  cache: receipt && toCacheObject(receipt),
})

const toTotalsReport = (report: RequestTotals, nowMs: number): TotalsReportJson => ({
  from_ms: report.fromMs,
  to_ms: nowMs,
  totals: toTotals(report.all),
  models: report.models.map(({ model, ...totals }) => ({ model, ...toTotals(totals) })),
  days: report.days.map(({ startMs, ...totals }) => ({
    day: new Date(startMs).toISOString().slice(0, 'yyyy-mm-dd'.length),
    ...toTotals(totals),
  })),
})

const toTotals = (totals: Totals): TotalsJson => ({
  requests: totals.requests,
  hit: totals.hit,
  partial: totals.partial,
  miss: totals.miss,
  bypass: totals.bypass,
  failed: totals.failed,
  prompt_tokens: totals.promptTokens,
  restored_ram_tokens: totals.ramTokens,
  restored_ssd_tokens: totals.ssdTokens,
  computed_tokens: totals.computedTokens,
  saved_tokens: totals.savedTokens,
  generated_tokens: totals.generatedTokens,
  saved_prefill_ms: totals.savedPrefillMs,
  ssd_written_bytes: totals.ssdWrittenBytes,
  ssd_read_bytes: totals.ssdReadBytes,
})
