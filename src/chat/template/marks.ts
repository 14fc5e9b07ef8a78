/**
 * Where places of a chat come to stand in its rendered text. Templates move, trim and leave out
 * what they get, each in its own way; so a word is put at each place, and the rendering with the
 * words says where they went. It counts only if nothing but the words is new in it. Pure.
 */
import type { RenderInput } from '../../../engines/types.ts'

/** Behind so many characters of a message's text, or behind what describes a tool. */
export type Place =
  | { readonly message: number; readonly atChar: number }
  | { readonly tool: number }

type Words = Readonly<Record<string, unknown>>

const textOf = (message: Words | undefined): string =>
  typeof message?.content === 'string' ? message.content : ''

/**
 * Behind the last word of the first `atChar` characters, since templates trim what surrounds a
 * text; null where nothing is before it.
 */
export function placeBehind(
  { messages }: Pick<RenderInput, 'messages'>,
  message: number,
  atChar = Number.POSITIVE_INFINITY,
): Place | null {
  const place = textOf(messages[message]).slice(0, atChar).trimEnd().length
  return place === 0 ? null : { message, atChar: place }
}

/** Before the first word of a message's text; null where it has none. */
export function placeBefore(
  { messages }: Pick<RenderInput, 'messages'>,
  message: number,
): Place | null {
  const text = textOf(messages[message])
  const atChar = text.length - text.trimStart().length
  return atChar === text.length ? null : { message, atChar }
}

/** The same chat with `word` and the place's index at each of the places. */
export function withWords<Input extends RenderInput>(
  input: Input,
  places: readonly Place[],
  word: string,
): Input {
  const messages = [...input.messages]
  const tools = [...(input.tools ?? [])]
  // From the last one on: a word moves those behind it.
  const order = [...places.entries()].sort(([, a], [, b]) => charOf(b) - charOf(a))
  for (const [index, place] of order) {
    const sign = `${word}${index}.`
    if ('tool' in place) tools[place.tool] = withSign(tools[place.tool], sign)
    else {
      const text = textOf(messages[place.message])
      const content = text.slice(0, place.atChar) + sign + text.slice(place.atChar)
      messages[place.message] = { ...messages[place.message], content }
    }
  }
  return { ...input, messages, ...(input.tools === undefined ? {} : { tools }) }
}

const charOf = (place: Place): number => ('tool' in place ? 0 : place.atChar)

/** In the description, behind which few more than the parameters stand; else in the name. */
function withSign(tool: unknown, sign: string): unknown {
  const outer = Object(tool) as Words
  const inner = Object(outer.function ?? outer) as Words
  const isDescribed = typeof inner.description === 'string' && inner.description.trim() !== ''
  const key = isDescribed ? 'description' : 'name'
  const text = String(inner[key]).trimEnd()
  const signed = { ...inner, [key]: text + sign + String(inner[key]).slice(text.length) }
  return outer.function === undefined ? signed : { ...outer, function: signed }
}

export interface Unsigned {
  /** What was rendered, without the words. */
  readonly text: string
  /** Characters of that text before each place, by the place's index, where it came first. */
  readonly chars: ReadonlyMap<number, number>
}

export function withoutWords(rendered: string, word: string): Unsigned {
  const [first = '', ...others] = rendered.split(word)
  const chars = new Map<number, number>()
  let text = first
  for (const part of others) {
    const end = part.indexOf('.') + 1
    const index = Number(part.slice(0, end - 1))
    if (!chars.has(index)) chars.set(index, text.length)
    text += part.slice(end)
  }
  return { text, chars }
}
