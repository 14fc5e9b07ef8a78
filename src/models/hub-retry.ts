/** Asking the hub again: how often, after which wait, and what is said when it was enough. */
import { setTimeout as delay } from 'node:timers/promises'
import { formatSize } from '../config/sizes.ts'
import { PrefixdError } from '../errors.ts'
import { formatHubRef, type HubPlace } from './hub-ref.ts'
import { PassingRefusal } from './hub-request.ts'
import { type Patience, pullError } from './pull-types.ts'

interface Asked {
  readonly ref: HubPlace
  readonly base: URL
  readonly patience: Patience
  readonly signal: AbortSignal
}

/**
 * Calls `attempt` until it returns something else than null. Errors that are typed are final;
 * others are tried again, as long as some tries bring more bytes than there were. Throws
 * PREFIXD_E_MODEL_PULL then, or the signal's reason.
 */
export async function withRetries<T>(
  asked: Asked,
  receivedBytes: () => number,
  attempt: () => Promise<T | null>,
): Promise<T> {
  const { patience, signal } = asked
  let fruitless = 0
  for (let tries = 1; ; tries += 1) {
    const before = receivedBytes()
    let failure: unknown
    try {
      const result = await attempt()
      if (result !== null) return result
      failure = new Error('the remote file changed')
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof PrefixdError) throw error
      failure = error
    }
    fruitless = receivedBytes() > before ? 0 : fruitless + 1
    const allowed = isUnreachable(failure)
      ? patience.pullUnreachableTries
      : patience.pullFruitlessTries
    if (fruitless >= allowed || tries >= patience.pullTries) {
      throw gaveUp(asked, receivedBytes(), failure)
    }
    await delay(backoffMs(patience, fruitless, failure), undefined, { signal })
  }
}

function backoffMs(patience: Patience, fruitless: number, failure: unknown): number {
  const asked = failure instanceof PassingRefusal ? failure.retryAfterMs : 0
  const doubled = patience.pullBackoffMinMs * 2 ** Math.max(0, fruitless - 1)
  return Math.min(Math.max(doubled, asked), patience.pullBackoffMaxMs)
}

/** The system's code of an error, or of what is behind it. */
export const causeCode = (error: unknown): string | undefined => {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } }
  const found = code ?? cause?.code
  return typeof found === 'string' ? found : undefined
}

const unreachableCodes = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** No connection at all: trying five times would only keep somebody waiting. */
const isUnreachable = (error: unknown): boolean => {
  const code = causeCode(error) ?? ''
  return unreachableCodes.has(code) || code.startsWith('CERT_') || code.includes('CERTIFICATE')
}

function gaveUp({ base, ref }: Asked, receivedBytes: number, failure: unknown): PrefixdError {
  const code = causeCode(failure)
  if (isUnreachable(failure)) {
    return pullError(
      `The hub at ${base.host} cannot be reached (${code}).`,
      'Check the network and HF_ENDPOINT (behind a proxy also set NODE_USE_ENV_PROXY=1), ' +
        'or give --model the path of a GGUF file.',
      failure,
    )
  }
  const why = code ?? (failure instanceof Error ? failure.message : String(failure))
  return pullError(
    `The download of ${formatHubRef(ref)} broke off after ${formatSize(receivedBytes)} (${why}).`,
    'Try again: it goes on where it stopped.',
    failure,
  )
}
