/** `GET /v1/cache/export` and `POST /v1/cache/import`: prefixes as files. */
import { Readable } from 'node:stream'
import { PrefixdError } from '../../errors.ts'
import type { ImportReport } from '../../pipeline/types.ts'
import type { ApiContext, ApiLimits, Server } from '../context.ts'
import { ExportQuerySchema, ImportQuerySchema, type ImportReportJson } from './upkeep-schema.ts'

const fileType = 'application/octet-stream'

export function transferRoutes(server: Server, context: ApiContext): void {
  const { service, answers, limits } = context
  server.get(
    '/v1/cache/export',
    { schema: { querystring: ExportQuerySchema } },
    async (request, reply) => {
      const { signal } = answers.follow(reply.raw)
      const ids = readIds(request.query.ids, limits)
      const bytes = service.transfer.exportPrefixes(ids)[Symbol.asyncIterator]()
      // What cannot be exported at all is a plain error, and no file that ends too early.
      const first = await bytes.next()
      const file = Readable.from(whole(first, bytes), { objectMode: false, signal })
      const name = `${ids[0]}.prefixd`
      return reply
        .type(fileType)
        .header('content-disposition', `attachment; filename="${name}"`)
        .send(file)
    },
  )
  server.register(async (files: Server) => {
    // The file is read as it comes, and never as a whole.
    files.addContentTypeParser(fileType, (_request, payload, done) => done(null, payload))
    files.post(
      '/v1/cache/import',
      { schema: { querystring: ImportQuerySchema }, bodyLimit: Number.MAX_SAFE_INTEGER },
      async (request): Promise<ImportReportJson> => {
        const { caller, query, body, raw } = request
        const { salt, tenant } = caller
        const options = { owner: { salt, tenant }, trust: query.trust === 'true' }
        const chunks = readable(body).iterator({ destroyOnReturn: false })
        try {
          return toImportReport(await service.transfer.importPrefixes(chunks, options))
        } catch (error) {
          // The client may be in the midst of its file. Who closes before the rest has come resets
          // the connection, and the client may never see the answer.
          raw.resume()
          throw error
        }
      },
    )
  })
}

/** Without a body there is no stream, and no file. */
const readable = (body: unknown): Readable => (body instanceof Readable ? body : Readable.from([]))

async function* whole(
  first: IteratorResult<Uint8Array>,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let step = first; !step.done; step = await rest.next()) yield step.value
  } finally {
    await rest.return?.()
  }
}

function readIds(text: string, { exportIds }: ApiLimits): string[] {
  const ids = text.split(',').filter((id) => id !== '')
  if (ids.length >= 1 && ids.length <= exportIds) return ids
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `ids must be 1 to ${exportIds} beginnings of ids with commas between them, not ${ids.length}.`,
    { field: 'ids', next: 'See the ids with `prefixd ls`.' },
  )
}

export const toImportReport = (report: ImportReport): ImportReportJson => ({
  model: report.model,
  signer: report.signer,
  written_by: report.writtenBy,
  written_at_ms: report.writtenAtMs,
  renamed: report.renamed,
  records: report.records,
  size_bytes: report.sizeBytes,
  stored: report.stored,
  present: report.present,
  skipped: report.skipped,
})
