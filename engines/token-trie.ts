/**
 * The texts of a vocabulary as one tree of bytes, so that what tokens begin with in common is
 * looked at once. Made once for a model: about 0.1 s for 50,000 tokens.
 */
export interface TokenTrie {
  /**
   * Calls `found` with every token whose bytes lead on from `start`; `behind` says where one byte
   * leads, and null where it does not.
   */
  walk<State>(
    start: State,
    behind: (state: State, byte: number) => State | null,
    found: (token: number) => void,
  ): void
}

/** Tokens without text are left out. */
export function createTokenTrie(pieces: Iterable<readonly [number, Uint8Array]>): TokenTrie {
  const tokens = [...pieces].filter(([, bytes]) => bytes.length > 0)
  tokens.sort(([, a], [, b]) => Buffer.compare(a, b))
  const nodes = layOut(tokens)
  return {
    walk(start, behind, found) {
      const path = [start]
      for (let node = 0; node < nodes.length; ) {
        const { depth, byte, end, own } = nodes[node] as Node
        const next = behind(path[depth] as typeof start, byte)
        if (next === null) {
          node = end
          continue
        }
        path[depth + 1] = next
        for (const token of own) found(token)
        node += 1
      }
    },
  }
}

interface Node {
  readonly depth: number
  readonly byte: number
  /** The first node behind those below this one: nodes stand in the order of a walk. */
  end: number
  /** Tokens that end here; several may have the same text. */
  readonly own: number[]
}

function layOut(sorted: readonly (readonly [number, Uint8Array])[]): Node[] {
  const nodes: Node[] = []
  /** Where the nodes of the text before stand. */
  let path: number[] = []
  let last = new Uint8Array(0)
  const closeTo = (depth: number): void => {
    for (const index of path.slice(depth)) (nodes[index] as Node).end = nodes.length
    path = path.slice(0, depth)
  }
  for (const [token, bytes] of sorted) {
    let depth = 0
    while (depth < last.length && last[depth] === bytes[depth]) depth += 1
    closeTo(depth)
    for (; depth < bytes.length; depth += 1) {
      path.push(nodes.length)
      nodes.push({ depth, byte: bytes[depth] ?? 0, end: 0, own: [] })
    }
    nodes[path.at(-1) ?? 0]?.own.push(token)
    last = bytes as Uint8Array<ArrayBuffer>
  }
  closeTo(0)
  return nodes
}
