import { expect, it } from 'vitest'
import { conversationTrace, traceBlockTokens } from '../../bench/conversation-trace.ts'
import { replayWear } from '../../bench/wear-replay.ts'
import { buildTrace } from '../../src/simulate/trace.ts'

const days = 30

function generated(seed: number) {
  const builder = buildTrace({ blockTokens: traceBlockTokens, bytesPerToken: 1 / traceBlockTokens })
  for (const [index, line] of conversationTrace({ seed, requests: 1000 }).entries()) {
    builder.add(JSON.stringify(line), index + 1)
  }
  return builder.trace()
}

it('an overfilled store stays inside its budget for 30 days, and loses few hits', async () => {
  const trace = generated(3)
  const sizes = { ramBlocks: 500, ssdBlocks: 2000, days }
  const unlimited = await replayWear(trace, { ...sizes, blocksPerDay: null })
  expect(unlimited.evictedBlocks).toBeGreaterThan(2 * sizes.ssdBlocks)
  const blocksPerDay = Math.round(unlimited.writtenBlocks / days)
  const kept = await replayWear(trace, { ...sizes, blocksPerDay })
  expect(unlimited.mostInADay).toBeGreaterThan(blocksPerDay)
  expect(kept.mostInADay).toBeLessThanOrEqual(blocksPerDay)
  expect(kept.hitBlocks).toBeGreaterThanOrEqual(0.97 * unlimited.hitBlocks)
})
