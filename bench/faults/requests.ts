/** Requests of the simulation: sent through the real pipeline, and judged by their answers. */
import type { GenerateRequest, Receipt } from '../../src/pipeline/types.ts'
import { greedy } from '../greedy.ts'
import type { AskCold } from './conversations.ts'
import type { Journal } from './journal.ts'
import { blockTokens } from './profile.ts'
import type { Promises } from './promises.ts'
import type { ServiceLife } from './service-life.ts'

export interface Wanted {
  readonly prompt: Uint32Array
  readonly answerTokens: number
  readonly salt: string
  readonly read: boolean
  readonly write: boolean
  readonly spill: boolean
  readonly choices: number
  readonly ttlMs: number | null
}

export interface Running extends Wanted {
  readonly id: number
  readonly controller: AbortController
  /** The client stops reading, without a word. */
  leaves: boolean
  /** A worker has died since it began. */
  sawDeath: boolean
}

export interface Judged {
  readonly receipt: Receipt | null
  readonly answer: Uint32Array
}

export interface Desk {
  readonly running: ReadonlySet<Running>
  send(life: ServiceLife, wanted: Wanted, isPatient?: boolean): Promise<Judged>
  /** The service died with all of them. */
  forgetAll(): void
  readonly finishedCount: number
}

export function createDesk(
  journal: Pick<Journal, 'note' | 'broken'>,
  askCold: AskCold,
  promises: Pick<Promises, 'acknowledge'>,
): Desk {
  const running = new Set<Running>()
  let lastId = 0
  let finishedCount = 0

  async function read(life: ServiceLife, request: Running, isPatient: boolean) {
    const texts: string[] = ['']
    let receipt: Receipt | null = null
    const events = life.generate(requestOf(request), request.controller.signal, isPatient)
    for await (const event of events) {
      if (event.type === 'text') texts[texts.length - 1] += event.text
      else if (event.type === 'choice') texts.push('')
      else if (event.type === 'receipt') receipt = event.receipt
      if (request.leaves) break
    }
    return { texts, receipt }
  }

  /** Only a worker's death and the client's own going away may end a request badly. */
  function judgeError(error: unknown, { id, controller, sawDeath }: Running): void {
    const code = (error as { code?: unknown }).code
    journal.note(`request ${id} ends with ${String(error).slice(0, 100)}`)
    if (controller.signal.aborted && error === controller.signal.reason) return
    if (sawDeath && code === 'PREFIXD_E_ENGINE_DIED') return
    journal.broken(`request ${id} got an error that is not its own: ${String(error)}`)
  }

  function acknowledge(life: ServiceLife, request: Running, receipt: Receipt, answer: Uint32Array) {
    const { restoredTokens, savedTokens, generatedTokens } = receipt
    if (!request.spill || savedTokens === 0) return
    const { prompt, salt } = request
    const tokens = Uint32Array.from([...prompt, ...answer.subarray(0, generatedTokens)])
    // What was saved begins with the block that was restored in part, or behind the last whole one;
    // later, where another request has saved the beginning meanwhile.
    const count = restoredTokens - (restoredTokens % blockTokens) + savedTokens
    if (count > tokens.length) {
      journal.broken(`request ${request.id}: ${count} of ${tokens.length} tokens are acknowledged`)
    }
    promises.acknowledge({ namespace: life.namespaceFor(salt), salt, tokens, count })
  }

  async function judge(life: ServiceLife, request: Running, isPatient: boolean): Promise<Judged> {
    const { id, prompt, answerTokens, controller } = request
    const { texts, receipt } = await read(life, request, isPatient)
    const cold = await askCold(prompt, answerTokens)
    const isCut = receipt === null || controller.signal.aborted
    for (const text of texts) {
      // A part of a character may be flushed where an answer was cut.
      const isRight = isCut
        ? cold.text.startsWith(text.replace(/\uFFFD+$/, ''))
        : text === cold.text
      if (isRight) continue
      const said = JSON.stringify([text, cold.text])
      journal.broken(`request ${id} of ${prompt.length} tokens got a wrong answer: ${said}`)
    }
    if (receipt !== null) {
      const { restoredTokens, savedTokens, tier } = receipt
      journal.note(`request ${id} done: ${restoredTokens} restored (${tier}), ${savedTokens} saved`)
      acknowledge(life, request, receipt, cold.tokens)
    }
    return { receipt, answer: cold.tokens }
  }

  return {
    running,
    get finishedCount() {
      return finishedCount
    },
    async send(life, wanted, isPatient = false) {
      lastId += 1
      const request: Running = {
        ...wanted,
        id: lastId,
        controller: new AbortController(),
        leaves: false,
        sawDeath: false,
      }
      running.add(request)
      const { prompt, read: reads, write, spill, choices, salt } = wanted
      const may = `${reads ? 'r' : '-'}${write ? 'w' : '-'}${spill ? 's' : '-'}`
      const how = `${may} ×${choices} '${salt}'`
      journal.note(`request ${request.id}: ${prompt.length} tokens ${how}`)
      try {
        return await judge(life, request, isPatient)
      } catch (error) {
        judgeError(error, request)
        return { receipt: null, answer: new Uint32Array(0) }
      } finally {
        running.delete(request)
        finishedCount += 1
      }
    },
    forgetAll: () => running.clear(),
  }
}

function requestOf({ id, prompt, answerTokens, salt, choices, ...wanted }: Running) {
  const { read, write, spill, ttlMs } = wanted
  const request: GenerateRequest = {
    requestId: `request-${id}`,
    dialect: 'completions',
    model: 'fake',
    prompt: { kind: 'tokens', tokens: prompt },
    maxTokens: answerTokens,
    sampling: greedy,
    choices,
    stop: [],
    cache: { read, write, spill, ttlMs, salt },
    ignoreEnd: true,
    tenant: null,
    session: null,
    hygiene: null,
  }
  return request
}
