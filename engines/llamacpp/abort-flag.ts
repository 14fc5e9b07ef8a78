/** One byte that stops a running decode: no callback into JavaScript, which could deadlock. */
import koffi from 'koffi'
import type { LlamaLibrary } from './library.ts'
import type { Pointer } from './structs.ts'

const zero = 0x30
const one = 0x31

export interface AbortFlag {
  raise(): void
  lower(): void
  free(): void
}

/**
 * llama.cpp asks between the nodes of its graph (on the CPU only) `callback(data)`; that is
 * `atoi("0")` until the flag is raised. The bytes are from malloc, since small typed arrays may be
 * moved by the garbage collector.
 */
export function installAbortFlag(library: LlamaLibrary, context: Pointer): AbortFlag {
  const address = koffi.alloc('uint8_t', 2) as Pointer
  const text = new Uint8Array(koffi.view(address, 2))
  text[0] = zero
  text[1] = 0
  library.calls.llama_set_abort_callback(context, library.atoi, address)
  return {
    raise: () => {
      text[0] = one
    },
    lower: () => {
      text[0] = zero
    },
    free: () => koffi.free(address),
  }
}
