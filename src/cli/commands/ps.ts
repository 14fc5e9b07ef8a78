/** `prefixd ps`: one line for each worker. */
import type { WorkerJson } from '../../api/native/schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { formatCount } from '../render/count.ts'
import { formatDuration } from '../render/duration.ts'
import { type Column, tableLines } from '../render/table.ts'
import { printable, wrap } from '../render/text.ts'

export async function ps(this: CliContext, flags: ClientFlags): Promise<void> {
  const client = await connect(this, flags)
  const workers = await client.workers()
  if (flags.json) return writeJson(this.out, workers)
  if (workers.data.length === 0) return writeLines(this.out, ['no workers'])
  writeLines(this.out, [
    ...tableLines(columns(this.now()), workers.data, this.out.width, (line) =>
      style(this.out, 'bold', line),
    ),
    ...workers.data.flatMap(notes).flatMap((note) => ['', ...wrap(note, this.out.width)]),
  ])
}

function columns(nowMs: number): Column<WorkerJson>[] {
  return [
    { title: 'MODEL', priority: 0, maxCells: 32, minCells: 16, value: (worker) => worker.model },
    { title: 'ENGINE', priority: 3, value: (worker) => worker.engine },
    { title: 'STATE', priority: 0, value: (worker) => worker.state },
    { title: 'BUSY', priority: 1, align: 'right', value: busyText },
    { title: 'QUEUE', priority: 1, align: 'right', value: (worker) => `${worker.queued_requests}` },
    {
      title: 'CONTEXT',
      priority: 2,
      align: 'right',
      value: ({ context_tokens: tokens }) => (tokens === null ? '-' : formatCount(tokens)),
    },
    { title: 'KV/TOKEN', priority: 2, align: 'right', value: kvText },
    { title: 'BOUNDARY', priority: 4, align: 'right', value: boundaryText },
    { title: 'MEMORY', priority: 3, align: 'right', value: memoryText },
    { title: 'PID', priority: 4, align: 'right', value: (worker) => `${worker.pid ?? '-'}` },
    { title: 'RESTARTS', priority: 5, align: 'right', value: (worker) => `${worker.restarts}` },
    { title: 'UP', priority: 4, value: (worker) => upFor(worker, nowMs) },
    { title: 'DEVICE', priority: 6, minCells: 10, value: (worker) => worker.device ?? '-' },
  ]
}

const busyText = ({ busy_sequences: busy, sequences }: WorkerJson): string =>
  sequences === null ? `${busy}` : `${busy} of ${sequences}`

const kvText = ({ layout }: WorkerJson): string =>
  layout === null || layout.row_bytes_per_token === null
    ? '-'
    : formatSize(layout.row_bytes_per_token)

/** Windows and states of one position; most models have none. */
const boundaryText = ({ layout }: WorkerJson): string =>
  layout === null || !layout.boundary_bytes ? '-' : formatSize(layout.boundary_bytes)

/** What the process has, and what it was planned to take at most. */
function memoryText({ pid, memory }: WorkerJson): string {
  if (pid === null) return '-'
  const [has, most] = [memory.resident_bytes, memory.estimated_bytes]
  if (has === null && most === null) return '-'
  if (has === null || most === null) return formatSize(has ?? most ?? 0)
  return `${formatSize(has)} of ${formatSize(most)}`
}

function upFor(worker: WorkerJson, nowMs: number): string {
  return worker.pid === null ? '-' : formatDuration(Math.max(0, nowMs - worker.started_at_ms))
}

/** What the table has no room for, and what needs somebody's attention. */
function notes(worker: WorkerJson): string[] {
  const name = printable(worker.model)
  const { layout, state } = worker
  // One that is ready again needs nobody.
  const lastError = state === 'ready' ? null : worker.last_error
  return [
    ...(layout?.refusal ? [`${name} is served without cache: ${printable(layout.refusal)}`] : []),
    ...(lastError === null ? [] : [`${name}, last error: ${printable(lastError)}`]),
  ]
}
