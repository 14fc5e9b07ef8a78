/** What a service says of its worker, and what it owes a client whose worker has died. */
import { expect } from 'vitest'
import { Refusal } from '../../bench/completions-client.ts'
import type { TestService } from './start-service.ts'

interface Worker {
  readonly pid: number
  readonly state: string
  readonly restarts: number
  readonly busy_sequences: number
}

export const workerOf = async (service: TestService): Promise<Worker> =>
  ((await service.get('/v1/workers')) as { data: [Worker] }).data[0]

export const storedBlocks = async (service: TestService): Promise<number> =>
  ((await service.get('/v1/cache/stats')) as { blocks: number }).blocks

/** A 503 that says what happened, and when to come again. */
export function expectRetryAdvice(refused: unknown): void {
  expect(refused).toBeInstanceOf(Refusal)
  expect(refused).toMatchObject({ status: 503, code: 'PREFIXD_E_ENGINE_DIED' })
  expect(Number((refused as Refusal).retryAfter)).toBeGreaterThan(0)
  expect((refused as Refusal).message).toContain('send the request again')
}

/** Another process serves now, after one restart. */
export async function expectRestarted(service: TestService, killedPid: number): Promise<void> {
  const now = await workerOf(service)
  expect(now).toMatchObject({ state: 'ready', restarts: 1 })
  expect(now.pid).not.toBe(killedPid)
}
