/** `prefixd engines install|ls|rm`: what computes on this machine. Asks no service. */
import { formatSize } from '../../config/sizes.ts'
import { type CliContext, type EnvironmentDoor, style, writeJson, writeLines } from '../context.ts'
import { installWithProgress } from '../engine-install.ts'
import { usageError } from '../failure.ts'
import { type Column, tableLines } from '../render/table.ts'
import { printable, wrap } from '../render/text.ts'

export interface EnginesInstallFlags {
  readonly cuda?: boolean
  readonly json?: boolean
}
export interface EnginesLsFlags {
  readonly json?: boolean
}
export interface EnginesRmFlags {
  readonly yes?: boolean
  readonly force?: boolean
  readonly json?: boolean
}

type ListedEngine = Awaited<ReturnType<EnvironmentDoor['listEngines']>>[number]

export async function enginesInstall(
  this: CliContext,
  flags: EnginesInstallFlags,
  name: string,
): Promise<void> {
  refuseOthers(name, 'installed')
  const cuda = flags.cuda === true
  const { wasPresent } = await installWithProgress(this, cuda, this.interrupted())
  const engine = await listedMlx(this)
  if (flags.json) return writeJson(this.out, { ...engineJson(engine), was_present: wasPresent })
  const size = engine.sizeBytes === null ? '' : `${formatSize(engine.sizeBytes)} at `
  const blas = engine.blas === null ? '' : `, blas ${engine.blas}`
  const verb = wasPresent ? 'is here already' : 'installed'
  writeLines(this.out, [
    printable(`mlx ${engine.version} ${verb}: ${size}${engine.path}`),
    printable(`computes on ${engine.device}${blas}`),
    `${style(this.out, 'bold', 'try')}    prefixd serve --engine mlx`,
  ])
}

async function listedMlx({ loadEnvironment, around }: CliContext): Promise<ListedEngine> {
  const { listEngines } = await loadEnvironment()
  const engine = (await listEngines(around)).find(({ name }) => name === 'mlx')
  if (engine === undefined) throw new Error('mlx is not among the engines')
  return engine
}

export async function enginesLs(this: CliContext, flags: EnginesLsFlags): Promise<void> {
  const { listEngines } = await this.loadEnvironment()
  const list = await listEngines(this.around)
  if (flags.json) return writeJson(this.out, { engines: list.map(engineJson) })
  const notes = list.flatMap(({ name, note }) => (note === null ? [] : [`${name}: ${note}`]))
  writeLines(this.out, [
    ...tableLines(columns, list, this.out.width, (line) => style(this.out, 'bold', line)),
    '',
    ...notes.flatMap((note) => wrap(printable(note), this.out.width)),
  ])
}

export async function enginesRm(
  this: CliContext,
  flags: EnginesRmFlags,
  name: string,
): Promise<void> {
  refuseOthers(name, 'deleted')
  const { checkMlxRemovable, removeMlx } = await this.loadEnvironment()
  const options = { force: flags.force === true }
  if (!flags.yes) {
    await checkMlxRemovable(this.around, options)
    const answer = await this.ask('Delete the MLX engine from this disk? [y/N] ')
    if (answer === null) {
      throw usageError('nobody can be asked here', 'add --yes to delete without asking')
    }
    if (!/^y(es)?$/i.test(answer.trim())) return writeLines(this.err, ['nothing was deleted'])
  }
  const { path, freedBytes } = await removeMlx(this.around, this.interrupted(), options)
  if (flags.json) return writeJson(this.out, { name, path, freed_bytes: freedBytes })
  writeLines(this.out, [`deleted ${name}, freed ${formatSize(freedBytes)}`])
}

function refuseOthers(name: string, verb: string): void {
  if (name === 'mlx') return
  const comes = name === 'llamacpp' || name === 'fake' ? `; ${name} comes with prefixd` : ''
  throw usageError(
    `"${name}" cannot be ${verb}: the only engine that is installed is mlx${comes}`,
    'see what is here: prefixd engines ls',
  )
}

/** Stable; docs/cli.md shows it. */
const engineJson = ({
  name,
  state,
  version,
  device,
  blas,
  path,
  sizeBytes,
  note,
}: ListedEngine) => ({
  name,
  state,
  version,
  device,
  blas,
  path,
  size_bytes: sizeBytes,
  note,
})

const columns: readonly Column<ListedEngine>[] = [
  { title: 'ENGINE', priority: 0, value: (engine) => engine.name },
  { title: 'STATE', priority: 0, value: (engine) => engine.state },
  { title: 'VERSION', priority: 1, minCells: 12, value: ({ version }) => version ?? '-' },
  { title: 'DEVICE', priority: 2, value: ({ device }) => device ?? '-' },
  { title: 'BLAS', priority: 3, minCells: 16, value: ({ blas }) => blas ?? '-' },
  {
    title: 'SIZE',
    priority: 2,
    align: 'right',
    value: ({ sizeBytes }) => (sizeBytes === null ? '-' : formatSize(sizeBytes)),
  },
  { title: 'WHERE', priority: 4, minCells: 20, value: ({ path }) => path ?? '-' },
]
