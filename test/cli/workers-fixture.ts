/** What the fixture service says of its workers. */
import type { WorkerListJson } from '../../src/api/native/schema.ts'
import { nowMs } from './run.ts'

const minuteMs = 60_000

export const workersFixture: WorkerListJson = {
  object: 'list',
  data: [
    {
      model: 'smollm2-135m',
      engine: 'llamacpp',
      state: 'ready',
      pid: 4711,
      restarts: 0,
      started_at_ms: nowMs - 76 * 60 * minuteMs,
      last_error: 'it was killed, and is well again',
      busy_sequences: 1,
      queued_requests: 3,
      context_tokens: 8192,
      sequences: 4,
      layout: {
        kinds: ['kv'],
        sliceable: true,
        refusal: null,
        kv_bytes_per_token: 23_052,
        kv_fixed_bytes: 744,
        row_bytes_per_token: 23_040,
        boundary_bytes: 0,
      },
      device: 'CPU, 1 thread',
      memory: { estimated_bytes: 1_290_000_000, resident_bytes: 910_000_000 },
    },
    {
      model: 'gemma-4-12b',
      engine: 'llamacpp',
      state: 'restarting',
      pid: null,
      restarts: 2,
      started_at_ms: nowMs - 5000,
      last_error: 'the worker ended with SIGABRT\n\u001b[31mggml assert',
      busy_sequences: 0,
      queued_requests: 0,
      context_tokens: null,
      sequences: null,
      layout: {
        kinds: [],
        sliceable: false,
        refusal: 'sliding-window attention is not supported yet',
        kv_bytes_per_token: null,
        kv_fixed_bytes: null,
        row_bytes_per_token: null,
        boundary_bytes: null,
      },
      device: null,
      memory: { estimated_bytes: 8_000_000_000, resident_bytes: null },
    },
  ],
}
