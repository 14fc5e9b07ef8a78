/** Is this a reply as it must be, whatever the body was? Pure. */
import { errorKinds } from '../../src/errors.ts'
import type { BodyCase } from './cases.ts'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export type Fault = 'answered 5xx' | 'error without its type' | 'stream without its end' | 'no JSON'

export interface Verdict {
  readonly fault: Fault | null
  /** Why, for people; empty where nothing is wrong. */
  readonly found: string
}

const fine: Verdict = { fault: null, found: '' }
const wrong = (fault: Fault, found: string): Verdict => ({ fault, found })

/** A model without embeddings is said to have none; no other 5xx is the body's doing. */
const allowed5xx = 501

export function judgeReply(sent: BodyCase, reply: Reply): Verdict {
  const { status, text, headers } = reply
  if (status >= 500 && status !== allowed5xx) return wrong('answered 5xx', `${status} ${text}`)
  if (status !== 200) return judgeError(sent, reply)
  if (headers.get('content-type')?.startsWith('text/event-stream')) {
    return isEnded(sent.route, text) ? fine : wrong('stream without its end', text.slice(-500))
  }
  return isObject(parsed(text)) ? fine : wrong('no JSON', text.slice(0, 500))
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function judgeError(sent: BodyCase, { status, headers, text }: Reply): Verdict {
  const body = parsed(text)
  const code = headers.get('x-prefixd-error') ?? ''
  const kind = Object.entries(errorKinds).find(([known]) => known === code)?.[1]
  const said = `${status} ${code} ${text}`
  if (kind === undefined || kind.status !== status || !isObject(body) || !isObject(body.error)) {
    return wrong('error without its type', said)
  }
  const { message } = body.error
  const speaks = typeof message === 'string' && message !== ''
  const isVague = /undefined|\[object |NaN must|must be valid\b/.test(String(message))
  const fits = isAnthropic(sent)
    ? isAnthropicError(body)
    : isOpenAiError(body.error, kind) && Object.keys(body).join() === 'error'
  return speaks && !isVague && fits ? fine : wrong('error without its type', said)
}

const isAnthropic = ({ route, headers }: BodyCase): boolean =>
  route.startsWith('/v1/messages') || headers['anthropic-version'] !== undefined

function isAnthropicError({ type, error, request_id: id }: Record<string, unknown>): boolean {
  const { type: kind } = error as Record<string, unknown>
  return type === 'error' && /^[a-z_]+_error$/.test(String(kind)) && /^req_/.test(String(id))
}

function isOpenAiError(
  error: Record<string, unknown>,
  kind: { readonly type: string; readonly code: string | null },
): boolean {
  const { type, param, code } = error
  const keys = Object.keys(error).toSorted().join()
  const isPlace = param === null || typeof param === 'string'
  return keys === 'code,message,param,type' && type === kind.type && code === kind.code && isPlace
}

/** The last word of each dialect's streams; an error is one too, if it is not our own bug. */
function isEnded(route: string, text: string): boolean {
  if (!text.endsWith('\n\n')) return false
  const last = text.trimEnd().split('\n\n').at(-1) ?? ''
  if (/internal_error|"api_error"/.test(last)) return false
  if (route === '/v1/messages') return /^event: (message_stop|error)\n/.test(last)
  if (route === '/v1/responses') {
    return /^event: (response\.(completed|incomplete|failed)|error)\n/.test(last)
  }
  return last === 'data: [DONE]' || last.startsWith('data: {"error":')
}
