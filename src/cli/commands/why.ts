/** `prefixd why`: what one request hit, what it missed, why, and what could be done about it. */
import type { RequestJson } from '../../api/native/history-schema.ts'
import { PrefixdError } from '../../errors.ts'
import type { Client } from '../client.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, writeJson, writeLines } from '../context.ts'
import { usageError } from '../failure.ts'
import { whyPage } from '../render/why-page.ts'

export interface WhyFlags extends ClientFlags {
  readonly last?: boolean
}

export async function why(this: CliContext, flags: WhyFlags, id?: string): Promise<void> {
  if (flags.last && id !== undefined) {
    throw usageError('--last and an id exclude each other', 'leave one of them out')
  }
  const client = await connect(this, flags)
  const request = id === undefined ? await latest(client) : await client.request(id)
  if (flags.json) return writeJson(this.out, request)
  writeLines(this.out, whyPage(request, this.out.width))
}

async function latest(client: Client): Promise<RequestJson> {
  const [request] = (await client.requests(1)).data
  if (request !== undefined) return request
  throw new PrefixdError('PREFIXD_E_REQUEST_NOT_FOUND', 'No request is remembered.', {
    next: 'send one, then ask again',
  })
}
