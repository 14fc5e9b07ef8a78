/** Progress of something that takes seconds: in place on a terminal, nothing elsewhere. */
import { style, type Terminal } from '../context.ts'
import { bar } from './bar.ts'
import { printable, shorten } from './text.ts'

export interface ShareLine {
  update(progress: { readonly done: number; readonly total: number }): void
  /** Leaves the terminal on a fresh line, also after a failure. */
  end(): void
}

const barCells = 24

export function shareLine(terminal: Terminal, label: string): ShareLine {
  let isOpen = false
  return {
    update({ done, total }) {
      if (!terminal.isTTY) return
      isOpen = true
      const share = total === 0 ? 1 : done / total
      const text = `${printable(label)}  ${bar(share, barCells)} ${Math.floor(100 * share)}%`
      terminal.write(`\r${style(terminal, 'cyan', shorten(text, terminal.width))}\u001b[K`)
    },
    end() {
      if (isOpen) terminal.write('\n')
      isOpen = false
    },
  }
}
