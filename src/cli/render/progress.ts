/** Progress of something long on stderr: a bar in place on a terminal, sparse lines elsewhere. */
import { formatSize } from '../../config/sizes.ts'
import { style, type Terminal } from '../context.ts'
import { bar } from './bar.ts'
import { formatDuration } from './duration.ts'
import { printable, shorten } from './text.ts'

export interface Progress {
  readonly receivedBytes: number
  /** Null while nobody knows. */
  readonly totalBytes: number | null
}

export interface ProgressLine {
  update(progress: Progress): void
  /** Leaves the terminal on a fresh line, also after a failure. */
  end(): void
}

const redrawMs = 100
const barCells = 24
/** Without a terminal, one line for each of these shares. */
const logShare = 0.1

export function progressLine(terminal: Terminal, label: string, now: () => number): ProgressLine {
  return terminal.isTTY ? drawn(terminal, label, now) : logged(terminal, label)
}

function drawn(terminal: Terminal, label: string, now: () => number): ProgressLine {
  let first: { readonly atMs: number; readonly bytes: number } | null = null
  let lastAtMs = Number.NEGATIVE_INFINITY
  return {
    update(progress) {
      const atMs = now()
      // A resumed download begins in the middle; its speed is what came since.
      first ??= { atMs, bytes: progress.receivedBytes }
      const isWhole = progress.receivedBytes === progress.totalBytes
      if (atMs - lastAtMs < redrawMs && !isWhole) return
      lastAtMs = atMs
      const speed = (progress.receivedBytes - first.bytes) / Math.max(1, atMs - first.atMs)
      const line = shorten(`${printable(label)}  ${progressText(progress, speed)}`, terminal.width)
      terminal.write(`\r${style(terminal, 'cyan', line)}\u001b[K`)
    },
    end: () => void (first !== null && terminal.write('\n')),
  }
}

/** E.g. `██████░░░░░░  52%  48.8 of 93.8 MiB  11.2 MiB/s  4.0 s left`. */
export function progressText(progress: Progress, bytesPerMs: number): string {
  const { receivedBytes, totalBytes } = progress
  const speed = bytesPerMs > 0 ? `  ${formatSize(bytesPerMs * 1000)}/s` : ''
  if (totalBytes === null) return `${formatSize(receivedBytes)}${speed}`
  const share = totalBytes === 0 ? 1 : receivedBytes / totalBytes
  const percent = `${Math.floor(100 * share)}%`.padStart(4)
  const leftMs = (totalBytes - receivedBytes) / bytesPerMs
  const left = bytesPerMs > 0 && leftMs >= 1000 ? `  ${formatDuration(leftMs)} left` : ''
  const sizes = `${formatSize(receivedBytes)} of ${formatSize(totalBytes)}`
  return `${bar(share, barCells)} ${percent}  ${sizes}${speed}${left}`
}

function logged(terminal: Terminal, label: string): ProgressLine {
  let loggedShare = Number.NEGATIVE_INFINITY
  return {
    update({ receivedBytes, totalBytes }) {
      if (totalBytes === null || totalBytes === 0) return
      const share = Math.floor(receivedBytes / totalBytes / logShare) * logShare
      if (share <= loggedShare) return
      loggedShare = share
      const percent = Math.round(100 * share)
      terminal.write(`${printable(label)}  ${percent}% of ${formatSize(totalBytes)}\n`)
    },
    end: () => {},
  }
}
