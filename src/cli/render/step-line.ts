/** Progress of an installation on stderr: in place on a terminal, line by line elsewhere. */
import { style, type Terminal } from '../context.ts'
import { printable, shorten } from './text.ts'

export interface Step {
  readonly step: 'prepares' | 'loads' | 'unpacks' | 'checks'
  /** E.g. `numpy 2.4.6 (16.9 MB)`. */
  readonly label: string | null
  readonly doneCount: number
  readonly totalCount: number
}

export interface StepLine {
  update(step: Step): void
  /** Leaves the terminal on a fresh line, also after a failure. */
  end(): void
}

export function stepLine(terminal: Terminal, label: string): StepLine {
  let isOpen = false
  return {
    update(step) {
      const text = `${label}  ${stepText(step)}`
      if (!terminal.isTTY) return terminal.write(`${text}\n`)
      isOpen = true
      terminal.write(`\r${style(terminal, 'cyan', shorten(text, terminal.width))}\u001b[K`)
    },
    end() {
      if (isOpen) terminal.write('\n')
      isOpen = false
    },
  }
}

function stepText({ step, label, doneCount, totalCount }: Step): string {
  if (step === 'prepares') return 'makes a Python environment'
  if (step === 'unpacks') return `unpacks ${totalCount} packages, up to a minute`
  if (step === 'checks') return 'checks that it computes'
  const count = `${String(doneCount).padStart(String(totalCount).length)} of ${totalCount}`
  return `${count}  ${printable(label ?? '')}`
}
