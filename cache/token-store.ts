/**
 * Token ids of blocks, packed. An array for each block would cost more than a block, and its bytes
 * would count as memory that collecting the heap may free: after every few prompts that are read
 * for the first time the collector walked the whole index.
 */
import type { TokenIds } from './types.ts'

/** 1 MiB. No block has more tokens. */
const chunkTokens = 2 ** 18

/** Rooms of one size; a chunk has rooms of one size only. */
interface Rooms {
  /** Given back, to be taken first. */
  readonly free: number[]
  /** The next one that nobody ever had, and how many of them follow in its chunk. */
  next: number
  left: number
}

/** A power of two: whatever fits a room of a block that went fits later ones of about its size. */
const roomFor = (tokenCount: number): number =>
  tokenCount <= 1 ? 1 : 2 ** (32 - Math.clz32(tokenCount - 1))

export class TokenStore {
  readonly #chunks: Uint32Array[] = []
  readonly #rooms = new Map<number, Rooms>()

  /** Copies the tokens and returns their place. Throws a RangeError for more than a chunk. */
  add(tokens: TokenIds): number {
    const place = this.#take(roomFor(tokens.length))
    this.#chunkOf(place).set(tokens, place % chunkTokens)
    return place
  }

  /** Not a copy: once the place was given back these are another block's tokens. */
  view(place: number, tokenCount: number): TokenIds {
    const from = place % chunkTokens
    return this.#chunkOf(place).subarray(from, from + tokenCount)
  }

  /** Do these tokens [from, to) stand there? As views and a comparison, without any new object. */
  holds(place: number, tokens: TokenIds, from = 0, to = tokens.length): boolean {
    const chunk = this.#chunkOf(place)
    const shift = (place % chunkTokens) - from
    for (let at = from; at < to; at++) if (chunk[shift + at] !== tokens[at]) return false
    return true
  }

  remove(place: number, tokenCount: number): void {
    this.#rooms.get(roomFor(tokenCount))?.free.push(place)
  }

  #take(room: number): number {
    if (room > chunkTokens) throw new RangeError(`a block has at most ${chunkTokens} tokens`)
    let rooms = this.#rooms.get(room)
    if (rooms === undefined) {
      rooms = { free: [], next: 0, left: 0 }
      this.#rooms.set(room, rooms)
    }
    const reused = rooms.free.pop()
    if (reused !== undefined) return reused
    if (rooms.left === 0) {
      rooms.next = this.#chunks.length * chunkTokens
      rooms.left = chunkTokens / room
      // Nobody shares it; V8 does not take such memory for a reason to collect.
      const chunk = new SharedArrayBuffer(chunkTokens * Uint32Array.BYTES_PER_ELEMENT)
      this.#chunks.push(new Uint32Array(chunk))
    }
    const place = rooms.next
    rooms.next += room
    rooms.left--
    return place
  }

  #chunkOf(place: number): Uint32Array {
    return this.#chunks[Math.floor(place / chunkTokens)] as Uint32Array
  }
}
