import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { PrefixdError } from '../../src/errors.ts'
import { scriptedService } from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

const mebibyte = new Uint8Array(1024 * 1024)

async function* file(sizeMiB: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < sizeMiB; at++) {
    yield mebibyte
    await delay(at % 3)
  }
}

test('a refusal reaches whoever is still sending the file', async () => {
  const service = scriptedService()
  const importPrefixes = async (chunks: AsyncIterable<Uint8Array>): Promise<never> => {
    for await (const _ of chunks) break
    throw new PrefixdError('PREFIXD_E_PREFIX_IN_USE', 'Not this one.')
  }
  const api = await startApi({ ...service, transfer: { ...service.transfer, importPrefixes } })
  for (let time = 0; time < 20; time++) {
    const headers = { 'content-type': 'application/octet-stream' }
    const init: unknown = { method: 'POST', headers, body: file(4 + time), duplex: 'half' }
    const reply = await fetch(`${api.url}/v1/cache/import`, init as RequestInit)
    expect(reply.status).toBe(409)
    expect(await reply.json()).toMatchObject({ error: { message: 'Not this one.' } })
  }
})
