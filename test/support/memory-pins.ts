/** Pins that no restart of the process outlives; with content, as an earlier one left them. */
import type { Pin, PinStore } from '../../src/catalog/types.ts'

export function pinsInMemory(content: readonly Pin[] = []): PinStore {
  const pins = new Map(content.map((pin) => [pin.hash, pin]))
  return {
    all: () => [...pins.values()],
    put: (pin) => void pins.set(pin.hash, pin),
    remove: (hash) => void pins.delete(hash),
  }
}
