/** What the fixture service says is pinned. */
import type { PinListJson } from '../../src/api/native/schema.ts'
import { nowMs } from './run.ts'

const mebibyte = 1024 ** 2
const gibibyte = 1024 ** 3
const minuteMs = 60_000

export const pinsFixture: PinListJson = {
  object: 'list',
  data: [
    {
      id: '9f2c41d07ab3',
      model: 'qwen3.6-27b-q4',
      tokens: 31_488,
      size_bytes: 2_641_404_887,
      state: 'kept',
      until_ms: nowMs + 7 * 24 * 60 * minuteMs,
      created_at_ms: nowMs - 42 * minuteMs,
    },
    {
      id: '0badc0ffee00',
      model: null,
      tokens: null,
      size_bytes: null,
      state: 'not_stored',
      until_ms: null,
      created_at_ms: nowMs - 42 * minuteMs,
    },
  ],
  tiers: [
    { tier: 'ram', kept_bytes: 0, most_bytes: 8 * gibibyte },
    { tier: 'ssd', kept_bytes: 2_641_404_887, most_bytes: 100 * gibibyte },
  ],
}

/** After the SSD tier was made smaller. */
export const tooManyPins: PinListJson = {
  ...pinsFixture,
  tiers: [
    { tier: 'ram', kept_bytes: 0, most_bytes: 32 * mebibyte },
    { tier: 'ssd', kept_bytes: 44 * mebibyte, most_bytes: 32 * mebibyte },
  ],
}
