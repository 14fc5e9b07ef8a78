/** `prefixd models ls --long`: what each model on this disk takes of the memory. */
import { formatSize } from '../../config/sizes.ts'
import type { CliContext, EnvironmentDoor, ModelsDoor } from '../context.ts'
import { formatCount } from '../render/count.ts'
import { type Column, tableLines } from '../render/table.ts'
import { printable, wrap } from '../render/text.ts'

type Figures = Awaited<ReturnType<ModelsDoor['memoryFigures']>>

export interface LongRow {
  readonly name: string
  readonly sizeBytes: number
  /** Null: the file does not tell. */
  readonly figures: Figures
}

/** What is on this disk: pulled models, and those of other programs. */
export async function longRows(
  { around, loadEnvironment }: Pick<CliContext, 'around' | 'loadEnvironment'>,
  { listModels, memoryFigures }: Pick<ModelsDoor, 'listModels' | 'memoryFigures'>,
): Promise<readonly LongRow[]> {
  let computer: ReturnType<EnvironmentDoor['mlxComputer']> | null = null
  // Only folders need it, and it starts a Python.
  const mlx = async () => {
    computer ??= (await loadEnvironment()).mlxComputer(around)
    return computer
  }
  const { stored, discovered } = await listModels(around)
  const rows: LongRow[] = []
  for (const { name, path, sizeBytes } of [...stored, ...discovered]) {
    rows.push({ name, sizeBytes, figures: await memoryFigures(path, mlx) })
  }
  return rows
}

export function longLines(
  rows: readonly LongRow[],
  width: number,
  styleHeader: (line: string) => string,
): string[] {
  const guesses = rows.flatMap(({ name, figures }) =>
    figures === null || figures.guess === null ? [] : [`${printable(name)}: ${figures.guess}`],
  )
  return [
    ...tableLines(columns, rows, width, styleHeader),
    '',
    ...wrap(
      'what one sequence keeps, with keys and values in f16, or in what MLX computes in here; ' +
        'computing takes more',
      width,
    ),
    ...guesses.flatMap((guess) => wrap(guess, width)),
  ]
}

/** Stable; docs/cli.md shows it. */
export const longJson = (rows: readonly LongRow[]) =>
  rows.map(({ name, sizeBytes, figures }) => ({
    name,
    size_bytes: sizeBytes,
    memory: figures && {
      layers: figures.layers,
      trained_context_tokens: figures.trainedContextTokens,
      kinds: [...figures.kinds],
      kv_bytes_per_token: figures.kvBytesPerToken,
      bytes_at_8k: figures.bytesAt8k,
      bytes_at_32k: figures.bytesAt32k,
      guess: figures.guess,
    },
  }))

const figure =
  (of: (figures: NonNullable<Figures>) => string) =>
  ({ figures }: LongRow): string =>
    figures === null ? '-' : of(figures)

const columns: readonly Column<LongRow>[] = [
  { title: 'NAME', priority: 0, minCells: 20, value: (row) => row.name },
  { title: 'SIZE', priority: 2, align: 'right', value: (row) => formatSize(row.sizeBytes) },
  {
    title: 'KEEPS',
    priority: 1,
    value: figure(({ kinds }) => (kinds.length === 0 ? 'nothing' : kinds.join('+'))),
  },
  {
    title: 'LAYERS',
    priority: 4,
    align: 'right',
    value: figure(({ layers }) => formatCount(layers)),
  },
  {
    title: 'TRAINED',
    priority: 3,
    align: 'right',
    value: figure(({ trainedContextTokens: tokens }) => (tokens === 0 ? '-' : formatCount(tokens))),
  },
  {
    title: 'KV/TOKEN',
    priority: 0,
    align: 'right',
    value: figure((figures) => formatSize(figures.kvBytesPerToken)),
  },
  {
    title: 'AT 8K',
    priority: 1,
    align: 'right',
    value: figure((figures) => formatSize(figures.bytesAt8k)),
  },
  {
    title: 'AT 32K',
    priority: 1,
    align: 'right',
    value: figure((figures) => formatSize(figures.bytesAt32k)),
  },
]
