/** Arguments that a family writes one by one, as text → one JSON object. */
import type { Output } from './output.ts'
import type { Reading, Source } from './source.ts'
import type { ToolShape } from './types.ts'

export interface ArgumentWriter {
  /** `json` is the value's JSON. */
  add(key: string, json: string): void
  /** Hands on a string's text as it comes; `end` closes it. */
  open(key: string): { text(text: string): void; end(): void }
  end(): void
}

/** Separators are Python's, which templates write too. */
export function writeArguments(output: Output): ArgumentWriter {
  let before = '{'
  const key = (name: string): void => {
    output.arguments(`${before}${JSON.stringify(name)}: `)
    before = ', '
  }
  return {
    add(name, json) {
      key(name)
      output.arguments(json)
    },
    open(name) {
      key(name)
      output.arguments('"')
      return {
        text: (text) => output.arguments(JSON.stringify(text).slice(1, -1)),
        end: () => output.arguments('"'),
      }
    },
    end: () => output.arguments(before === '{' ? '{}' : '}'),
  }
}

/** Does the tool's schema say that this argument is text, and nothing else? */
export function isTextArgument(tool: ToolShape | undefined, key: string): boolean {
  const schema = tool?.parameters as { properties?: Record<string, unknown> } | null | undefined
  const properties = schema?.properties
  if (typeof properties !== 'object' || properties === null) return false
  const property = Object.hasOwn(properties, key) ? properties[key] : undefined
  return (property as { type?: unknown } | null | undefined)?.type === 'string'
}

/** JSON where it is JSON; other text is a string. */
export function toJson(text: string): string {
  const trimmed = text.trim()
  try {
    JSON.parse(trimmed)
    return trimmed
  } catch {
    return JSON.stringify(text)
  }
}

/**
 * Reads a value up to `close`, as text where the schema says text. `newlines`: one line end at each
 * side is markup. Throws CutOff.
 */
export function* readTextValue(
  source: Source,
  writer: ArgumentWriter,
  value: { key: string; isText: boolean; close: string; newlines: boolean },
): Reading<void> {
  if (value.newlines) yield* source.take('\n')
  const closes = value.newlines ? [`\n${value.close}`, value.close] : [value.close]
  if (value.isText) {
    const string = writer.open(value.key)
    yield* source.inside(closes, string.text)
    string.end()
  } else {
    writer.add(value.key, toJson((yield* source.upTo(closes)).text))
  }
}
