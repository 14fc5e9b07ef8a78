/** `prefixd doctor`: what this machine has of what prefixd needs. Asks no service. */

import { PrefixdError } from '../../errors.ts'
import { type CliContext, type EnvironmentDoor, style, writeJson, writeLines } from '../context.ts'
import { pad, printable, wrap } from '../render/text.ts'
import { loadWithFlags } from '../setting-flags.ts'

export interface DoctorFlags {
  readonly json?: boolean
}

type Finding = Awaited<ReturnType<EnvironmentDoor['examine']>>[number]

export async function doctor(this: CliContext, flags: DoctorFlags): Promise<void> {
  const { examine } = await this.loadEnvironment()
  const { config } = await loadWithFlags(this, {})
  const findings = await examine(config, this.around, {
    signal: this.interrupted(),
    probeSharedMemory: async () => (await this.loadService()).probeSharedMemory(),
  })
  if (flags.json) writeJson(this.out, { findings })
  else writeLines(this.out, linesOf(this, findings))
  const failed = findings.filter(({ state }) => state === 'fail').map(({ name }) => name)
  if (failed.length === 0) return
  throw new PrefixdError('PREFIXD_E_MACHINE', `prefixd cannot run here: ${failed.join(', ')}`, {
    next: 'do what the lines above say',
  })
}

const colours = { ok: 'green', warn: 'yellow', fail: 'red' } as const

function linesOf({ out }: CliContext, findings: readonly Finding[]): string[] {
  const nameCells = Math.max(...findings.map(({ name }) => name.length))
  const indent = ' '.repeat('fail'.length + nameCells + 2 * gap.length)
  return findings.flatMap(({ name, state, found, next }) => {
    const head = style(out, colours[state], pad(state, 'fail'.length, 'left'))
    const body = [found, ...(next === null ? [] : [`→ ${next}`])]
    const lines = body.flatMap((text) => wrap(printable(text), out.width - indent.length))
    return lines.map((line, index) =>
      index === 0 ? `${head}${gap}${pad(name, nameCells, 'left')}${gap}${line}` : indent + line,
    )
  })
}

const gap = '  '
