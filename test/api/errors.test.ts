import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { CacheError } from '../../cache/errors.ts'
import { EngineError } from '../../engines/errors.ts'
import { toErrorReply } from '../../src/api/errors.ts'
import { requestLog } from '../../src/api/request-log.ts'
import { createServer } from '../../src/api/server.ts'
import { limits } from '../../src/config/limits.ts'
import { PrefixdError } from '../../src/errors.ts'
import { failing, scriptedService } from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

const chatUrl = '/v1/chat/completions'
const user = { role: 'user', content: 'hi' }
const json = { 'content-type': 'application/json' }

async function refused(url: string, payload: object, service = scriptedService()) {
  const reply = await createServer(service).inject({ method: 'POST', url, payload })
  return { status: reply.statusCode, headers: reply.headers, error: reply.json().error }
}

test.each([
  [{ messages: 'hi' }, 'messages', 'messages must be an array, not "hi".'],
  [{ messages: [] }, 'messages', 'messages must be an array of at least 1, not an array of 0.'],
  [{}, 'messages', 'messages is missing.'],
  [{ model: 7, messages: [user] }, 'model', 'model must be a string or null, not 7.'],
  [
    { messages: [user, user, user, { role: 'user', content: 7 }] },
    'messages[3].content',
    'messages[3].content must be a string, an array or null, not 7.',
  ],
  [
    { messages: [{ role: 'user', content: [{ text: 'hi' }] }] },
    'messages[0].content[0].type',
    'messages[0].content[0].type is missing.',
  ],
  [
    { messages: [{ role: 'robot', content: 'hi' }] },
    'messages[0].role',
    'messages[0].role must be one of "developer", "system", "user", "assistant", "tool", ' +
      '"function", not "robot".',
  ],
  [{ messages: [{ content: 'hi' }] }, 'messages[0].role', 'messages[0].role is missing.'],
  [
    { messages: [user], stream: 'yes' },
    'stream',
    'stream must be true or false or null, not "yes".',
  ],
  [
    { messages: [user], stream_options: { include_usage: 1 } },
    'stream_options.include_usage',
    'stream_options.include_usage must be true or false or null, not 1.',
  ],
  [
    { messages: [user], max_tokens: -1 },
    'max_tokens',
    'max_tokens must be at least 0 or null, not -1.',
  ],
  [
    { messages: [user], temperature: '1' },
    'temperature',
    'temperature must be a number or null, not "1".',
  ],
])('wrong type: %j names %s', async (payload, param, message) => {
  const { status, headers, error } = await refused(chatUrl, payload)
  expect(status).toBe(400)
  expect(error).toEqual({ message, type: 'invalid_request_error', param, code: 'invalid_value' })
  expect(headers['x-should-retry']).toBe('false')
  expect(headers['x-prefixd-error']).toBe('PREFIXD_E_INVALID_VALUE')
})

const changed = scriptedService()
const changing = createServer(changed)

/** For tests that leave nothing behind. */
const untouched = createServer(scriptedService())

test.each([
  ['PATCH', '/v1/cache/budgets', { ram: 1e8 }, 'ram', 'Did you mean ram_bytes?'],
  ['POST', '/v1/cache/evict', { all: true, dryrun: true }, 'dryrun', 'Did you mean dry_run?'],
  ['POST', '/v1/cache/verify', { mend: true }, 'mend', 'Leave it out.'],
  ['PUT', '/v1/cache/pins/9f2c', { ttl: 60 }, 'ttl', 'Did you mean ttl_seconds?'],
  ['POST', '/v1/sessions/a/pause', { eta: 60 }, 'eta', 'Did you mean eta_seconds?'],
  ['POST', '/v1/sessions/a/fork', { new_id: 'b', 'a/5': 1 }, 'a/5', 'Leave it out.'],
  ['POST', '/v1/sessions/a/end', { force: true }, 'force', 'Leave it out.'],
] as const)('%s %s %j: a field that the body does not have is named', async (...named) => {
  const [method, url, payload, param, next] = named
  const reply = await changing.inject({ method, url, payload })
  const { error } = reply.json()
  expect([reply.statusCode, error.code, error.param]).toEqual([400, 'invalid_value', param])
  expect(error.message).toMatch(`${param} is no field of this body; it has `)
  expect(error.message.endsWith(next)).toBe(true)
  expect(decodeURIComponent(String(reply.headers['x-prefixd-next']))).toBe(next)
  expect([changed.evictions, changed.pinned]).toEqual([[], []])
})

test('advice that no header can carry stands in the message only', () => {
  const headersOf = (next: string) =>
    toErrorReply(new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', 'No.', { next }), 'req_1').headers
  expect(headersOf('Use “a\r\n\ud800”.')).toMatchObject({
    'x-prefixd-next': encodeURIComponent('Use “a\r\n\ufffd”.'),
  })
  expect(headersOf('a'.repeat(limits.adviceHeaderLength + 1))).not.toHaveProperty('x-prefixd-next')
  expect(headersOf('')).not.toHaveProperty('x-prefixd-next')
})

test.each([
  [{ temperature: 2.5 }, 'temperature'],
  [{ top_p: -0.1 }, 'top_p'],
  [{ top_k: 1.5 }, 'top_k'],
  [{ min_p: 2 }, 'min_p'],
  [{ repeat_penalty: 0 }, 'repeat_penalty'],
  [{ repetition_penalty: 3 }, 'repetition_penalty'],
  [{ frequency_penalty: 2.1 }, 'frequency_penalty'],
  [{ presence_penalty: -2.1 }, 'presence_penalty'],
  [{ seed: 0.5 }, 'seed'],
  [{ n: 0 }, 'n'],
  [{ n: limits.choices + 1 }, 'n'],
  [{ logprobs: 3 }, 'logprobs'],
  [{ top_logprobs: 3 }, 'top_logprobs'],
  [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
  [{ logit_bias: { 50: 101 } }, 'logit_bias.50'],
  [{ logit_bias: { 50: '1' } }, 'logit_bias.50'],
  [{ logit_bias: { fifty: 1 } }, 'logit_bias.fifty'],
  [{ logit_bias: { '-1': 1 } }, 'logit_bias.-1'],
  [{ stop: '' }, 'stop'],
  [{ stop: ['a', ''] }, 'stop[1]'],
  [{ stop: Array(limits.stopStrings + 1).fill('a') }, 'stop'],
  [{ stop: ['a'.repeat(limits.stopStringLength + 1)] }, 'stop[0]'],
])('out of range: %j names %s', async (fields, param) => {
  const { status, error } = await refused(chatUrl, { messages: [user], ...fields })
  expect(status).toBe(400)
  expect(error).toMatchObject({ param, code: 'invalid_value' })
})

const tools = [{ type: 'function', function: { name: 'f' } }]
const named = (name: string) => ({ type: 'function', function: { name } })
const allowed = (more: object) => ({ type: 'allowed_tools', allowed_tools: more })

test.each([
  [{ response_format: { type: 'xml' } }, 'response_format.type'],
  [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema.schema'],
  [
    { response_format: { type: 'json_schema', json_schema: { name: 'a' } } },
    'response_format.json_schema.schema',
  ],
  [{ guided_json: '{' }, 'guided_json'],
  [{ guided_choice: [] }, 'guided_choice'],
  [{ structured_outputs: { regex: 3 } }, 'structured_outputs.regex'],
  [{ grammar: 'root ::= "a"', response_format: { type: 'json_object' } }, 'grammar'],
  [{ json_schema: {}, guided_regex: 'a' }, 'guided_regex'],
  [{ tool_choice: 'required' }, 'tool_choice'],
  [{ tool_choice: named('f') }, 'tool_choice'],
  [{ tools, tool_choice: 'sometimes' }, 'tool_choice'],
  [{ tools, tool_choice: named('g') }, 'tool_choice'],
  [{ tools, tool_choice: allowed({ mode: 'none', tools }) }, 'tool_choice.allowed_tools.mode'],
  [{ tools, tool_choice: allowed({ mode: 'auto' }) }, 'tool_choice.allowed_tools.tools'],
  [{ tools, tool_choice: allowed({ mode: 'required', tools: [] }) }, 'tool_choice'],
])('a wish that cannot be read: %j names %s', async (fields, param) => {
  const service = scriptedService()
  const { status, error } = await refused(chatUrl, { messages: [user], ...fields }, service)
  expect(status).toBe(400)
  expect(error).toMatchObject({ param, code: 'invalid_value' })
  expect(service.requests).toHaveLength(0)
})

test('a call in the history that is none is refused by its place', async () => {
  const spoken = { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f' } }, null] }
  const { status, error } = await refused(chatUrl, { messages: [spoken, user] })
  expect(status).toBe(400)
  expect(error).toMatchObject({ param: 'messages[0].tool_calls[1]', code: 'invalid_value' })
})

test('a choice of a kind that no model here can make is refused by name', async () => {
  const fields = { messages: [user], tools, tool_choice: { type: 'custom', custom: { name: 'f' } } }
  const { status, error } = await refused(chatUrl, fields)
  expect(status).toBe(400)
  expect(error).toMatchObject({ param: 'tool_choice', code: 'unsupported_parameter' })
})

test('the same fields with values that ask for nothing are fine', async () => {
  const payload = {
    messages: [user],
    n: 1,
    logprobs: false,
    top_logprobs: null,
    logit_bias: {},
    response_format: { type: 'text' },
    tool_choice: 'auto',
  }
  const reply = await createServer(scriptedService()).inject({
    method: 'POST',
    url: chatUrl,
    payload,
  })
  expect(reply.statusCode).toBe(200)
})

test.each(['image_url', 'input_audio', 'file'])('a part of type %s is named', async (type) => {
  const content = [{ type: 'text', text: 'look' }, { type }]
  const { status, error } = await refused(chatUrl, { messages: [user, { role: 'user', content }] })
  expect(status).toBe(400)
  expect(error).toMatchObject({ param: 'messages[1].content[1]', code: 'unsupported_parameter' })
})

test('a model that is not here is a 404 that says what is', async () => {
  const { status, error } = await refused(chatUrl, { model: 'gpt-9', messages: [user] })
  expect(status).toBe(404)
  expect(error).toEqual({
    message: 'There is no model "gpt-9" here. Served: fake.',
    type: 'not_found_error',
    param: 'model',
    code: 'model_not_found',
  })
})

test('a body that is no JSON says where it stopped', async () => {
  const server = createServer(scriptedService())
  const reply = await server.inject({
    method: 'POST',
    url: chatUrl,
    headers: json,
    payload: '{"a": 1 "b"}',
  })
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error).toMatchObject({ param: null, code: 'invalid_json' })
  expect(reply.json().error.message).toMatch(/^The body is not valid JSON\. .*position 8/)
})

test.each(['{"__proto__": {"a": 1}, "messages": []}', ''])(
  'body %j is refused',
  async (payload) => {
    const server = createServer(scriptedService())
    const reply = await server.inject({ method: 'POST', url: chatUrl, headers: json, payload })
    expect(reply.statusCode).toBe(400)
    expect(reply.json().error.code).toBe('invalid_json')
  },
)

test.each([
  ['DELETE', '/v1/cache/pins/9f2c', 200],
  ['PUT', '/v1/cache/pins/9f2c', 200],
  ['POST', '/v1/cache/verify', 200],
  ['POST', '/reset_prefix_cache', 200],
  // These come as far as the session, which is not there.
  ['POST', '/v1/sessions/a/end', 404],
  ['POST', '/v1/sessions/a/pause', 404],
  ['POST', '/v1/sessions/a/resume', 404],
  ['POST', '/v1/sessions/a/fork', 400],
  ['PATCH', '/v1/cache/budgets', 400],
  ['POST', '/v1/cache/evict', 400],
  ['POST', '/v1/messages', 400],
] as const)('%s %s with the header of JSON and no body is a %i', async (method, url, status) => {
  const reply = await untouched.inject({ method, url, headers: json, payload: '' })
  expect(reply.statusCode).toBe(status)
  if (status === 400) expect(reply.headers['x-prefixd-error']).toBe('PREFIXD_E_INVALID_JSON')
})

test('a change that changes nothing names what may be changed', async () => {
  const { param, message } = (
    await changing.inject({ method: 'PATCH', url: '/v1/cache/budgets', payload: {} })
  ).json().error
  expect(param).toBe('ram_bytes')
  expect(message).toBe(
    'The body must have at least one of ram_bytes, ssd_bytes, ssd_writes_per_day_bytes, shares; ' +
      'it has none.',
  )
})

test('a form, as curl sends it without a header, is told which header is missing', async () => {
  const reply = await createServer(scriptedService()).inject({
    method: 'POST',
    url: chatUrl,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: '{"messages":[]}',
  })
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error).toMatchObject({ param: 'content-type', code: 'invalid_value' })
})

test('a body over the limit is a 413 that names the limit', async () => {
  const server = createServer(scriptedService(), { limits: { bodyBytes: 100 } })
  const payload = { messages: [{ role: 'user', content: 'x'.repeat(200) }] }
  const reply = await server.inject({ method: 'POST', url: chatUrl, payload })
  expect(reply.statusCode).toBe(413)
  expect(reply.json().error).toMatchObject({ code: 'request_too_large', param: null })
  expect(reply.json().error.message).toContain('100 bytes')
})

test.each([
  [new EngineError('PREFIXD_E_ENGINE_QUEUE_FULL', 'full'), 429, 'queue_full', '1', 'true'],
  [new EngineError('PREFIXD_E_ENGINE_LOADING', 'loading'), 503, 'model_loading', '1', 'true'],
  [
    new EngineError('PREFIXD_E_ENGINE_FAILED', 'gone', { retry: false }),
    503,
    'worker_failed',
    undefined,
    'false',
  ],
  [new EngineError('PREFIXD_E_ENGINE_TIMEOUT', 'slow'), 504, 'timeout', undefined, 'false'],
  [new CacheError('PREFIXD_E_CACHE_IO', 'disk'), 500, 'internal_error', undefined, 'false'],
  [
    new PrefixdError('PREFIXD_E_CONTEXT_LENGTH', 'too long', { field: 'messages' }),
    400,
    'context_length_exceeded',
    undefined,
    'false',
  ],
  [
    new PrefixdError('PREFIXD_E_ENGINE_LOADING', 'loading', { retryAfterSeconds: 2.5 }),
    503,
    'model_loading',
    '3',
    'true',
  ],
])('%s is %i %s', async (thrown, status, code, retryAfter, shouldRetry) => {
  const reply = await refused(chatUrl, { messages: [user] }, scriptedService(failing(thrown)))
  expect(reply.status).toBe(status)
  expect(reply.error).toMatchObject({ message: expect.stringContaining(thrown.message), code })
  expect(reply.headers['retry-after']).toBe(retryAfter)
  // The finer figure, which the SDKs read first.
  const seconds = (thrown as PrefixdError).retryAfterSeconds ?? 1
  const retryAfterMs = retryAfter === undefined ? undefined : String(seconds * 1000)
  expect(reply.headers['retry-after-ms']).toBe(retryAfterMs)
  expect(reply.headers['x-should-retry']).toBe(shouldRetry)
})

test('an error that nobody foresaw gives its id away, and nothing else', async () => {
  const service = scriptedService(failing(new TypeError('secret is undefined')))
  const { status, headers, error } = await refused(chatUrl, { messages: [user] }, service)
  expect(status).toBe(500)
  expect(error).toMatchObject({ type: 'api_error', param: null, code: 'internal_error' })
  expect(error.message).toContain(headers['x-request-id'])
  expect(error.message).not.toContain('secret')
})

test.each([
  [new TypeError('secret is undefined'), /^TypeError: secret is undefined\n +at /],
  [new CacheError('PREFIXD_E_CACHE_IO', 'disk'), /^CacheError: disk$/],
  [new EngineError('PREFIXD_E_ENGINE_QUEUE_FULL', 'full'), null],
])('%s is in the log where it is answered with 500', async (thrown, line) => {
  const lines: string[] = []
  const logger = requestLog({ error: (message, error) => lines.push(`${message}|${error}`) })
  const server = createServer(scriptedService(failing(thrown)), { logger })
  const payload = { messages: [user] }
  const { headers } = await server.inject({ method: 'POST', url: chatUrl, payload })
  const [said, cause] = lines[0]?.split('|') ?? []
  expect(lines).toHaveLength(line === null ? 0 : 1)
  if (line === null) return
  expect(said).toBe(`the request failed (${headers['x-request-id']})`)
  expect(cause).toMatch(line)
})

test('a pipeline that ends without a receipt is an error, not an empty answer', async () => {
  const service = scriptedService(async function* () {})
  expect((await refused(chatUrl, { messages: [user] }, service)).status).toBe(500)
})

test.each([
  ['no-store', 'invalid_value'],
  ['ttl=soon', 'invalid_value'],
  ['no-write, pin', 'invalid_value'],
])('x-prefixd-cache: %s is refused as %s', async (words, code) => {
  const reply = await createServer(scriptedService()).inject({
    method: 'POST',
    url: chatUrl,
    payload: { messages: [user] },
    headers: { 'x-prefixd-cache': words },
  })
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error).toMatchObject({ param: 'x-prefixd-cache', code })
})

test('a time of the header that is none is shown, and what it stands behind', async () => {
  const payload = { messages: [user] }
  const headers = { 'x-prefixd-cache': 'no-read, ttl=soon' }
  const reply = await untouched.inject({ method: 'POST', url: chatUrl, payload, headers })
  expect(reply.json().error.message).toBe(
    'What stands behind ttl= in x-prefixd-cache must be a time like 90s, 5m, 1h or 2d, of ' +
      `${limits.cacheTtlSecondsMax} s at most, not "soon".`,
  )
})

test('what is not HTTP is answered in the envelope and closed', async () => {
  const { port } = await startApi(scriptedService())
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('utf8')
  socket.end('nonsense\r\n\r\n')
  let text = ''
  for await (const part of socket) text += part
  const [head, body] = text.split('\r\n\r\n')
  expect(head).toMatch(/^HTTP\/1\.1 400 /)
  expect(Object.keys(JSON.parse(body ?? '').error)).toEqual(['message', 'type', 'param', 'code'])
})
