/** Damages one byte of a file in place, as a disk that rots does. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'

export function flipByte(path: string, at: number): void {
  const fd = openSync(path, 'r+')
  const byte = new Uint8Array(1)
  readSync(fd, byte, 0, 1, at)
  writeSync(fd, Uint8Array.of((byte[0] as number) ^ 0x10), 0, 1, at)
  closeSync(fd)
}
