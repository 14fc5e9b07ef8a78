/** `prefixd models pull|ls|rm`: the weights on this disk. Asks no service. */
import { formatSize } from '../../config/sizes.ts'
import { type CliContext, type ModelsDoor, style, writeJson, writeLines } from '../context.ts'
import { usageError } from '../failure.ts'
import { withProgress } from '../model-pull.ts'
import { type Column, tableLines } from '../render/table.ts'
import { printable } from '../render/text.ts'
import { longJson, longLines, longRows } from './models-long.ts'

export interface ModelsLsFlags {
  readonly long?: boolean
  readonly json?: boolean
}
export interface ModelsPullFlags {
  readonly json?: boolean
}
export interface ModelsRmFlags {
  readonly json?: boolean
  readonly force?: boolean
  readonly yes?: boolean
}

type ModelList = Awaited<ReturnType<ModelsDoor['listModels']>>
type StoredModel = ModelList['stored'][number]

export async function modelsPull(
  this: CliContext,
  flags: ModelsPullFlags,
  spec: string,
): Promise<void> {
  const { pullModel } = await this.loadModels()
  const pulled = await withProgress(this, `pulling ${spec}`, this.interrupted(), (options) =>
    pullModel(spec, options),
  )
  if (flags.json) {
    return writeJson(this.out, { ...storedJson(pulled), was_present: pulled.wasPresent })
  }
  const verb = pulled.wasPresent ? 'is here already' : 'pulled'
  const size = formatSize(pulled.sizeBytes)
  writeLines(this.out, [
    `${printable(pulled.name)} ${verb}: ${size} at ${printable(pulled.path)}`,
    `${style(this.out, 'bold', 'try')}    prefixd serve ${serveWords(pulled)}`,
  ])
}

const serveWords = ({ kind, name }: StoredModel): string =>
  `${kind === 'mlx' ? '--engine mlx ' : ''}--model ${printable(name)}`

export async function modelsLs(this: CliContext, flags: ModelsLsFlags): Promise<void> {
  const models = await this.loadModels()
  if (flags.long) return modelsLong(this, models, flags)
  const list = await models.listModels(this.around)
  if (flags.json) return writeJson(this.out, listJson(list))
  writeLines(this.out, [
    ...tableLines(columns, rows(list), this.out.width, (line) => style(this.out, 'bold', line)),
    '',
    `pulled models lie in ${printable(list.directory)}`,
  ])
}

async function modelsLong(
  context: CliContext,
  models: ModelsDoor,
  flags: ModelsLsFlags,
): Promise<void> {
  const { out } = context
  const rows = await longRows(context, models)
  if (flags.json) return writeJson(out, longJson(rows))
  if (rows.length === 0) return writeLines(out, ['no models on this disk'])
  writeLines(
    out,
    longLines(rows, out.width, (line) => style(out, 'bold', line)),
  )
}

export async function modelsRm(
  this: CliContext,
  flags: ModelsRmFlags,
  spec: string,
): Promise<void> {
  const { checkRemovable, removeModel } = await this.loadModels()
  const options = { force: flags.force === true }
  if (!flags.yes) {
    await checkRemovable(spec, this.around, options)
    const answer = await this.ask(`Delete ${printable(spec)} from this disk? [y/N] `)
    if (answer === null) {
      throw usageError('nobody can be asked here', 'add --yes to delete without asking')
    }
    if (!/^y(es)?$/i.test(answer.trim())) return writeLines(this.err, ['nothing was deleted'])
  }
  const removed = await removeModel(spec, this.around, options)
  if (flags.json) {
    const { name, path, freedBytes } = removed
    return writeJson(this.out, { name, path, freed_bytes: freedBytes })
  }
  writeLines(this.out, [
    `deleted ${printable(removed.name)}, freed ${formatSize(removed.freedBytes)}`,
  ])
}

const storedJson = ({ name, kind, path, sizeBytes, digest, source, pulledAtMs }: StoredModel) => ({
  name,
  kind,
  path,
  size_bytes: sizeBytes,
  sha256: digest,
  source,
  pulled_at_ms: pulledAtMs,
})

/** Stable; docs/cli.md shows it. */
const listJson = (list: ModelList) => ({
  directory: list.directory,
  stored: list.stored.map(storedJson),
  partial: list.partial.map(({ name, kind, receivedBytes, totalBytes, source }) => ({
    name,
    kind,
    received_bytes: receivedBytes,
    total_bytes: totalBytes,
    source,
  })),
  discovered: list.discovered.map(({ name, fullName, kind, path, sizeBytes, origin, digest }) => ({
    name,
    full_name: fullName,
    kind,
    path,
    size_bytes: sizeBytes,
    origin,
    sha256: digest,
  })),
  available: list.available.map(({ name, title, licence, sizeBytes, sha256 }) => ({
    name,
    title,
    licence,
    size_bytes: sizeBytes,
    sha256,
  })),
})

interface Row {
  readonly name: string
  readonly kind: string
  readonly size: string
  readonly where: string
  readonly about: string
}

function rows(list: ModelList): Row[] {
  const half = (received: number, total: number | null) =>
    total === null ? 'half pulled' : `half pulled, ${Math.floor((100 * received) / total)}%`
  return [
    ...list.stored.map((model) => ({
      name: model.name,
      kind: model.kind,
      size: formatSize(model.sizeBytes),
      where: 'here',
      about: model.path,
    })),
    ...list.partial.map((model) => ({
      name: model.name,
      kind: model.kind,
      size: model.totalBytes === null ? '-' : formatSize(model.totalBytes),
      where: half(model.receivedBytes, model.totalBytes),
      about: model.source,
    })),
    ...list.discovered.map((model) => ({
      name: model.name,
      kind: model.kind,
      size: formatSize(model.sizeBytes),
      where: `here, ${model.origin}`,
      about: model.path,
    })),
    ...list.available.map((model) => ({
      name: model.name,
      kind: 'gguf',
      size: formatSize(model.sizeBytes),
      where: 'can be pulled',
      about: `${model.title}, ${model.licence}`,
    })),
  ]
}

const columns: readonly Column<Row>[] = [
  { title: 'NAME', priority: 0, minCells: 24, value: (row) => row.name },
  { title: 'KIND', priority: 3, value: (row) => row.kind },
  { title: 'SIZE', priority: 1, align: 'right', value: (row) => row.size },
  { title: 'WHERE', priority: 0, value: (row) => row.where },
  { title: 'ABOUT', priority: 2, minCells: 20, value: (row) => row.about },
]
