/** What a service says of its past, as the tests of the CLI expect it. */
import type {
  AdviceJson,
  RequestJson,
  TotalsReportJson,
} from '../../src/api/native/history-schema.ts'
import { nowMs } from './run.ts'

const gibibyte = 1024 ** 3
const minuteMs = 60_000

const dayFixture = {
  requests: 412,
  hit: 389,
  partial: 12,
  miss: 10,
  bypass: 0,
  failed: 1,
  prompt_tokens: 7_130_000,
  restored_ram_tokens: 4_192_440,
  restored_ssd_tokens: 1_718_330,
  computed_tokens: 1_219_230,
  saved_tokens: 1_180_000,
  generated_tokens: 90_000,
  saved_prefill_ms: 51 * minuteMs,
  ssd_written_bytes: 19 * gibibyte,
  ssd_read_bytes: 50 * gibibyte,
}
const emptyDay = Object.fromEntries(Object.keys(dayFixture).map((name) => [name, 0]))

export const totalsFixture: TotalsReportJson = {
  from_ms: nowMs - 7 * 24 * 60 * minuteMs,
  to_ms: nowMs,
  totals: dayFixture,
  models: [{ model: 'smollm2-135m', ...dayFixture }],
  days: [
    { day: '2026-11-23', ...(emptyDay as typeof dayFixture) },
    { day: '2026-11-24', ...dayFixture },
  ],
}

export const adviceFixture: AdviceJson = {
  from_ms: nowMs - 7 * 24 * 60 * minuteMs,
  to_ms: nowMs,
  steps: [
    { tier: 'ram', more_bytes: gibibyte, requests: 1, tokens: 900, prefill_ms: 700 },
    { tier: 'ssd', more_bytes: gibibyte, requests: 2, tokens: 4100, prefill_ms: 2900 },
    { tier: 'ssd', more_bytes: 8 * gibibyte, requests: 12, tokens: 120_000, prefill_ms: 83_000 },
  ],
  best: {
    tier: 'ssd',
    more_bytes: 8 * gibibyte,
    requests: 12,
    tokens: 120_000,
    prefill_ms: 83_000,
  },
}

export const requestFixture: RequestJson = {
  id: 'req_mgx1k2',
  object: 'request',
  at_ms: nowMs,
  model: 'smollm2-135m',
  tenant: null,
  session: '7be1\u001b[2J',
  route: 'chat',
  status: 'partial',
  error: null,
  prompt_tokens: 15_500,
  generated_tokens: 212,
  plan: { matched_tokens: 13_340, compute_from: 13_340, restore_ms: 190.4, prefill_ms: 9100 },
  cache: {
    status: 'partial',
    tier: 'ssd',
    prefix: '9f2c41d07ab3',
    blocks: { hit: 52, total: 61, block_tokens: 256 },
    tokens: { restored: 13_340, computed: 2_160, saved: 2_160 },
    ms: {
      load: 0,
      queue: 0.4,
      tokenize: 9,
      plan: 0.7,
      restore: 184,
      prefill: 1460,
      decode: 2100,
      save: 4,
      ttft: 1660,
    },
    miss: { reason: 'diverged', at_token: 13_340 },
    reasons: [
      '13340 of 15500 prompt tokens are stored',
      'restore 13340 tokens in 53 records from ssd: about 190 ms against 9100 ms of prefill',
    ],
    hygiene: [],
    volatile: [],
  },
}
