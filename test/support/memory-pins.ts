/** Pins that no restart of the process outlives; with content, as an earlier one left them. */
import type { Pin, PinStore } from '../../src/catalog/types.ts'

export function pinsInMemory(content: readonly Pin[] = []): PinStore {
  let pins = content
  return {
    all: () => pins,
    async replace(given) {
      pins = given
    },
  }
}
