import { expect, test } from 'vitest'
import { agentTools } from '../../bench/agent-tools.ts'
import { isProven } from '../../bench/findings.ts'
import { createRandom } from '../../bench/random.ts'
import { faultOf, runToolLoop, type ToolCall, toolFindings } from '../../bench/tool-loop.ts'
import { createServiceFolder, realFlags } from '../support/start-service.ts'

test('a real model that must call a tool obeys every schema, whatever it samples', async () => {
  const { url, get } = await createServiceFolder().start({ ...realFlags(), ctx: '4096' })
  const { data } = (await get('/v1/models')) as { data: readonly { id: string }[] }
  const calls = await runToolLoop({
    url,
    model: data[0]?.id ?? '',
    tools: agentTools,
    calls: 4,
    callsPerConversation: 2,
    random: createRandom(3),
    onProgress: () => {},
  })
  expect(calls.map(({ fault, json }) => ({ fault, json }))).toEqual(
    calls.map(({ json }) => ({ fault: null, json })),
  )
})

test('a call counts only with arguments that its schema allows', () => {
  expect(faultOf(agentTools, 'get_weather', '{"city":"Graz","days":3}')).toBe(null)
  expect(faultOf(agentTools, 'get_weather', '{"city":"Graz","days":30}')).toBe('breaks its schema')
  expect(faultOf(agentTools, 'get_weather', '{"city":"Graz","days":3')).toBe('no JSON')
  expect(faultOf(agentTools, 'get_time', '{}')).toBe('unknown tool')
})

test('one bad call, or a tool without a call, is a failure', () => {
  const call = (name: string, fault: string | null): ToolCall => {
    return { name, json: '{}', fault, cachedTokens: 90, promptTokens: 100 }
  }
  const all = agentTools.map(({ name }) => call(name, null))
  expect(isProven(toolFindings(all, agentTools))).toBe(true)
  expect(isProven(toolFindings([...all, call('f', 'no JSON')], agentTools))).toBe(false)
  expect(isProven(toolFindings(all.slice(1), agentTools))).toBe(false)
})
