/**
 * Where other turns and sessions will leave a prompt: at the ends of its messages and at the
 * client's breakpoints. Found by rendering the chat once more, with words at these places.
 */
import { randomUUID } from 'node:crypto'
import { boundaryKindsOf, type PromptMarks, thinned } from '../../cache/index.ts'
import type { TokenIds } from '../../cache/types.ts'
import type { Engine, ModelInfo } from '../../engines/types.ts'
import {
  type Place,
  placeBefore,
  placeBehind,
  withoutWords,
  withWords,
} from '../chat/template/marks.ts'
import { limits } from '../config/limits.ts'
import { messageEndsOf } from './message-ends.ts'
import { render } from './render.ts'
import { tokensWithin } from './token-places.ts'
import type { Breakpoint, ChatInput, Prompt } from './types.ts'

export interface MarkedPrompt {
  readonly prompt: Prompt
  readonly tokens: TokenIds
  /** A chat as it was rendered; null: the prompt is no chat. */
  readonly text: string | null
}

/**
 * Costs a plain layout nothing. A place that the template leaves out, or that changes what it
 * writes, has no position; it is never the client's error.
 */
export async function promptMarks(
  engine: Engine,
  info: ModelInfo,
  { prompt, tokens, text }: MarkedPrompt,
): Promise<PromptMarks> {
  if (boundaryKindsOf(info.layout).length === 0) return { messageEnds: [] }
  const ofTokens = () => ({ messageEnds: messageEndsOf(tokens, info) })
  if (prompt.kind !== 'chat' || text === null) return ofTokens()
  const { input } = prompt
  const asked = askedOf(input)
  const ends = endsOf(input)
  const places = [...new Set([...asked.flatMap(placesOf), ...ends])]
  const chars = await findChars(input, places, text, (marked) => render(engine, info, marked))
  const positions = await findTokens(engine, { text, tokens }, chars)
  const positionsOf = (found: readonly number[]): number[] =>
    [...new Set(found.flatMap((char) => positions.get(char) ?? []))].sort((a, b) => a - b)
  const messageEnds = positionsOf(ends.flatMap((place) => chars.get(place) ?? []))
  return {
    // A template that says nothing of its messages has at least tokens that end them.
    ...(messageEnds.length > 0 ? { messageEnds } : ofTokens()),
    breakpoints: positionsOf(asked.flatMap((each) => charOf(each, chars) ?? [])),
  }
}

/** A breakpoint, and what says where it is. */
interface Asked {
  readonly place: Place
  /** The first one of these that stands behind the place is the breakpoint; none: the place is. */
  readonly upTo: readonly Place[]
}

const placesOf = ({ place, upTo }: Asked): Place[] => [place, ...upTo]

/** Of too many the first one, which most share, and the last ones. */
function askedOf(input: ChatInput): Asked[] {
  const all = input.breakpoints ?? []
  const most = limits.breakpoints
  const some = all.length <= most ? all : [...all.slice(0, 1), ...all.slice(1 - most)]
  return some.flatMap((each) => askedBy(input, each) ?? [])
}

function askedBy(input: ChatInput, breakpoint: Breakpoint): Asked | null {
  if ('tool' in breakpoint) {
    const isLast = breakpoint.tool === (input.tools?.length ?? 0) - 1
    return { place: breakpoint, upTo: isLast ? firstWords(input) : [] }
  }
  const { message, atChar } = breakpoint
  const place = atChar === null ? endOf(input, message) : placeBehind(input, message, atChar)
  return place && { place, upTo: [] }
}

/** Behind tools the system prompt begins, or the first other message: templates differ. */
function firstWords(input: ChatInput): Place[] {
  const first = input.messages.findIndex(({ role }) => role !== 'system')
  return [0, first].flatMap((message) => placeBefore(input, message) ?? [])
}

function charOf({ place, upTo }: Asked, chars: ReadonlyMap<Place, number>): number | null {
  const char = chars.get(place)
  if (char === undefined) return null
  const behind = upTo.flatMap((each) => chars.get(each) ?? []).filter((each) => each > char)
  return behind.length === 0 ? char : Math.min(...behind)
}

/** Behind calls, which have no text to put a word into, the next message's own words begin. */
function endOf(input: ChatInput, message: number): Place | null {
  const { tool_calls: calls } = input.messages[message] ?? {}
  const hasCalls = Array.isArray(calls) && calls.length > 0
  return hasCalls ? placeBefore(input, message + 1) : placeBehind(input, message)
}

/** Of many messages those that the cache would choose, were all tokens as long as each other. */
function endsOf(input: ChatInput): Place[] {
  let chars = 0
  const lengths = input.messages.map(({ content }) => {
    chars += 1 + (typeof content === 'string' ? content.length : 0)
    return chars
  })
  const chosen = new Set([...lengths.slice(0, 1), ...thinned(lengths, chars)])
  return lengths.flatMap((end, message) => (chosen.has(end) ? (endOf(input, message) ?? []) : []))
}

/**
 * Characters of the text before each place. One rendering, where the template takes all words as
 * they are; else the places are tried in halves, so that a bad one costs only itself.
 */
async function findChars(
  input: ChatInput,
  places: readonly Place[],
  text: string,
  renderMarked: (input: ChatInput) => Promise<string>,
): Promise<Map<Place, number>> {
  // Nobody can write it into a message beforehand.
  const word = `prefixd${randomUUID().replaceAll('-', '')}`
  const found = new Map<Place, number>()
  const waiting: (readonly Place[])[] = [places]
  for (let tries = 0; tries < limits.markRenderings; tries += 1) {
    const group = waiting.shift() ?? []
    if (group.length === 0) break
    const rendered = await orNull(renderMarked(withWords(input, group, word)))
    const unsigned = rendered === null ? null : withoutWords(rendered, word)
    if (unsigned?.text === text) {
      for (const [index, char] of unsigned.chars) found.set(group[index] as Place, char)
    } else if (group.length > 1) {
      const half = group.length >> 1
      waiting.push(group.slice(0, half), group.slice(half))
    }
  }
  return found
}

async function findTokens(
  engine: Engine,
  { text, tokens }: { readonly text: string; readonly tokens: TokenIds },
  found: ReadonlyMap<Place, number>,
): Promise<Map<number, number>> {
  const chars = [...new Set(found.values())]
  // A chat of 30,000 tokens has a few thousand different ones.
  const different = Uint32Array.from(new Set(tokens))
  const their = chars.length === 0 ? null : await orNull(engine.pieces(different))
  if (their === null) return new Map()
  const pieceOf = new Map(their.map((piece, index) => [different[index], piece]))
  const pieces = Array.from(tokens, (token) => pieceOf.get(token) as Uint8Array)
  const counts = tokensWithin(text, pieces, chars)
  return new Map(
    chars.flatMap((char, index) => {
      const count = counts[index] ?? null
      return count === null ? [] : [[char, count] as const]
    }),
  )
}

/** What a template refuses has no position. A worker that is gone says so when it must compute. */
async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer
  } catch (error) {
    if (String((error as { code?: unknown }).code).startsWith('PREFIXD_E_')) return null
    throw error
  }
}
