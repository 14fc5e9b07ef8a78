import { expect, test } from 'vitest'
import type { BodyCase } from '../../bench/bodies/cases.ts'
import { judgeReply } from '../../bench/bodies/verdict.ts'

const sentTo = (route: string, headers: Record<string, string> = {}): BodyCase => ({
  route,
  kind: 'whole',
  headers,
  body: Buffer.from('{}'),
})
const chat = sentTo('/v1/chat/completions')
const messages = sentTo('/v1/messages')

function judged(sent: BodyCase, status: number, body: unknown, headers: Record<string, string>) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return judgeReply(sent, { status, text, headers: new Headers(headers) }).fault
}

const typed = { 'x-prefixd-error': 'PREFIXD_E_INVALID_VALUE' }
const openAi = {
  message: 'n must be 1.',
  type: 'invalid_request_error',
  param: 'n',
  code: 'invalid_value',
}
const anthropic = {
  type: 'error',
  error: { type: 'invalid_request_error', message: 'n must be 1.' },
  request_id: 'req_1',
}

test('each dialect’s whole error is a proper one, the other dialect’s is not', () => {
  expect(judged(chat, 400, { error: openAi }, typed)).toBe(null)
  expect(judged(messages, 400, anthropic, typed)).toBe(null)
  expect(judged(chat, 400, anthropic, typed)).toBe('error without its type')
  expect(judged(messages, 400, { error: openAi }, typed)).toBe('error without its type')
  const asAnthropic = sentTo('/v1/chat/completions', { 'anthropic-version': '2023-06-01' })
  expect(judged(asAnthropic, 400, anthropic, typed)).toBe(null)
})

test.each([
  ['has no code in its header', { error: openAi }, {}],
  ['has a code that nobody knows', { error: openAi }, { 'x-prefixd-error': 'PREFIXD_E_NOBODY' }],
  ['has a code of another status', { error: openAi }, { 'x-prefixd-error': 'PREFIXD_E_API_KEY' }],
  ['has no param', { error: { ...openAi, param: undefined } }, typed],
  ['says nothing', { error: { ...openAi, message: '' } }, typed],
  ['quotes an object', { error: { ...openAi, message: 'of type "[object Object]"' } }, typed],
  ['is text', 'Bad Request', typed],
])('an error that %s is found', (_name, body, headers) => {
  expect(judged(chat, 400, body, headers)).toBe('error without its type')
})

test('500 is always found; 501 is a typed refusal', () => {
  const internal = { ...openAi, type: 'api_error', code: 'internal_error' }
  const headers = { 'x-prefixd-error': 'PREFIXD_E_INTERNAL' }
  expect(judged(chat, 500, { error: internal }, headers)).toBe('answered 5xx')
  expect(judged(chat, 503, { error: openAi }, typed)).toBe('answered 5xx')
  expect(judged(chat, 501, { error: openAi }, typed)).toBe('error without its type')
})

test('an answer is an object, and a stream has its last event', () => {
  const sse = { 'content-type': 'text/event-stream' }
  const responses = sentTo('/v1/responses')
  const event = (type: string) => `event: ${type}\ndata: {"type":"${type}"}\n\n`
  expect(judged(chat, 200, {}, {})).toBe(null)
  expect(judged(chat, 200, '{"id":', {})).toBe('no JSON')
  expect(judged(chat, 200, 'data: {}\n\ndata: [DONE]\n\n', sse)).toBe(null)
  expect(judged(chat, 200, 'data: {}\n\n', sse)).toBe('stream without its end')
  expect(judged(chat, 200, 'data: [DONE]', sse)).toBe('stream without its end')
  expect(judged(messages, 200, event('message_stop'), sse)).toBe(null)
  expect(judged(messages, 200, event('message_delta'), sse)).toBe('stream without its end')
  expect(judged(responses, 200, event('response.completed'), sse)).toBe(null)
  expect(judged(responses, 200, event('response.created'), sse)).toBe('stream without its end')
  const bug = 'event: error\ndata: {"type":"error","code":"internal_error"}\n\n'
  expect(judged(responses, 200, bug, sse)).toBe('stream without its end')
})
