/** Pins that no restart of the process outlives; with content, as an earlier one left them. */
import { setImmediate as later } from 'node:timers/promises'
import type { Pin, PinStore } from '../../src/catalog/types.ts'

export function pinsInMemory(content: readonly Pin[] = []): PinStore {
  let pins = content
  return {
    all: () => pins,
    async replace(given) {
      // As a disk does, it takes a moment.
      await later()
      pins = given
    },
  }
}
