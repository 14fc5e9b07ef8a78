/** Getting an engine onto this machine, with its progress on stderr. */
import { PrefixdError } from '../errors.ts'
import { type CliContext, type EnvironmentDoor, writeLines } from './context.ts'
import { Interrupted } from './failure.ts'
import { runLongStep } from './long-step.ts'
import { stepLine } from './render/step-line.ts'
import { printable } from './render/text.ts'

type Installed = Awaited<ReturnType<EnvironmentDoor['installMlx']>>

export const loadEnvironment = (): Promise<EnvironmentDoor> => import('../environment/index.ts')

/** Rejects with `Interrupted` when the signal ended it; nothing is left then. */
export async function installWithProgress(
  context: CliContext,
  cuda: boolean,
  signal: AbortSignal,
): Promise<Installed> {
  const { installMlx } = await context.loadEnvironment()
  const line = stepLine(context.err, 'installing mlx')
  try {
    return await runLongStep(context, line, signal, (step) => installMlx({ ...step, cuda }))
  } catch (error) {
    if (error instanceof Interrupted) {
      const command = installCommand(cuda)
      writeLines(context.err, [`stopped, and nothing is left of it; once more: ${command}`])
    }
    throw error
  }
}

export interface Ensuring {
  /** Nobody needs to be asked. */
  readonly yes: boolean
  readonly signal: AbortSignal
  /** Rejects with what would be wrong all the same: nobody wants to install first for that. */
  readonly before: () => Promise<unknown>
}

/**
 * Installs what is missing or out of date when somebody says yes. Throws PREFIXD_E_ENGINE_MISSING
 * where nobody can be asked, or the answer is no.
 */
export async function ensureEngine(
  context: CliContext,
  { yes, signal, before }: Ensuring,
): Promise<void> {
  const { mlxEnvironment } = await context.loadEnvironment()
  const environment = mlxEnvironment(context.around)
  if (environment.state === 'ready') return
  await before()
  const what =
    environment.state === 'missing'
      ? 'The MLX engine is not installed.'
      : `The MLX engine is out of date: ${environment.why}.`
  const cuda = environment.state === 'stale' && environment.record?.device === 'cuda'
  if (!yes) {
    const answer = await context.ask(`${printable(what)} Install it now, about 80 MB? [Y/n] `)
    if (answer === null || !/^(y(es)?)?$/i.test(answer.trim())) throw engineMissing(what, cuda)
  }
  await installWithProgress(context, cuda, signal)
}

const installCommand = (cuda: boolean): string =>
  `prefixd engines install mlx${cuda ? ' --cuda' : ''}`

const engineMissing = (what: string, cuda: boolean): PrefixdError =>
  new PrefixdError('PREFIXD_E_ENGINE_MISSING', what, {
    field: 'engine',
    next: `${installCommand(cuda)} (or --yes), or serve GGUF files with --engine llamacpp`,
  })
