/** One answer as its family writes it: text, reasoning between tags, calls behind markers. */
import { createOutput, type Output } from './output.ts'
import { CutOff, createSource, NotACall, type Reading, type Source } from './source.ts'
import type { AnswerParser, ParserOptions, ToolShape } from './types.ts'

export interface Tools {
  readonly names: ReadonlySet<string>
  byName(name: string): ToolShape | undefined
}

/** Reads what follows its marker. Throws NotACall where that is no call, before anything began. */
export type CallReader = (source: Source, output: Output, tools: Tools) => Reading<void>

export interface ReasoningTags {
  readonly open: string
  readonly close: string
  /** The tags are tokens of their own, so that they mean reasoning wherever they stand. */
  readonly anywhere?: boolean
}

export interface Family {
  readonly reasoning: ReasoningTags | null
  /** What begins calls, and how they are read. */
  readonly calls: Readonly<Record<string, CallReader>>
  /** A call that no marker announces: tried where the answer's text begins. */
  readonly bareCall?: { readonly begins: string; readonly read: CallReader }
  /** So many newlines the template writes between text and the first call. */
  readonly jointNewlines?: number
}

export function toolsOf(shapes: readonly ToolShape[]): Tools {
  const byName = new Map(shapes.map((shape) => [shape.name, shape]))
  return { names: new Set(byName.keys()), byName: (name) => byName.get(name) }
}

/** Null where this request's answer can have neither calls nor reasoning. */
export function familyParser(family: Family, options: ParserOptions): AnswerParser | null {
  if (options.tools.length === 0 && family.reasoning === null) return null
  return runReader(family.jointNewlines ?? 0, (source, output) =>
    readAnswer(source, output, family, options),
  )
}

export function runReader(
  jointNewlines: number,
  read: (source: Source, output: Output) => Reading<void>,
): AnswerParser {
  const source = createSource()
  const output = createOutput(jointNewlines, source.mark)
  const reading = read(source, output)
  let over = false
  const advance = (): void => {
    if (over) return
    try {
      over = reading.next().done === true
    } catch (error) {
      // The answer ended inside of its markup: what was begun stays, the rest is nothing.
      if (!(error instanceof CutOff)) throw error
      over = true
    }
  }
  return {
    push(text) {
      source.feed(text)
      advance()
      return output.drain()
    },
    end() {
      source.finish()
      advance()
      output.finish()
      return output.drain()
    },
  }
}

function* readAnswer(
  source: Source,
  output: Output,
  family: Family,
  options: ParserOptions,
): Reading<void> {
  const tools = toolsOf(options.tools)
  const { reasoning } = family
  const calls = tools.names.size === 0 ? {} : family.calls
  const bareCall = tools.names.size === 0 ? undefined : family.bareCall
  if (reasoning !== null && options.promptEnd.trimEnd().endsWith(reasoning.open)) {
    yield* readReasoning(source, output, reasoning)
  }
  const markers = [...Object.keys(calls), ...(reasoning === null ? [] : [reasoning.open])]
  let mayBeBare = bareCall !== undefined
  for (;;) {
    source.forget()
    if (bareCall !== undefined && mayBeBare) yield* readBareCall(source, output, bareCall, tools)
    mayBeBare = false
    const marker = yield* source.until(markers, output.text)
    if (marker === null) return
    const reader = Object.hasOwn(calls, marker) ? calls[marker] : undefined
    if (reader !== undefined) {
      yield* readCall(source, output, marker, reader, tools)
    } else if (reasoning !== null && (reasoning.anywhere || !output.hasSaidSomething())) {
      yield* readReasoning(source, output, reasoning)
      mayBeBare = !output.hasSaidSomething()
    } else {
      output.text(marker)
    }
  }
}

function* readReasoning(source: Source, output: Output, tags: ReasoningTags): Reading<void> {
  output.afterMarkup()
  yield* source.until([tags.close], output.reasoning)
  output.afterMarkup()
}

function* readCall(
  source: Source,
  output: Output,
  marker: string,
  read: CallReader,
  tools: Tools,
): Reading<void> {
  const mark = source.mark()
  const begun = output.calls()
  try {
    yield* read(source, output, tools)
    output.afterMarkup()
  } catch (error) {
    if (!(error instanceof NotACall)) throw error
    if (output.calls() > begun) return
    source.back(mark)
    output.text(marker)
  }
}

function* readBareCall(
  source: Source,
  output: Output,
  { begins, read }: NonNullable<Family['bareCall']>,
  tools: Tools,
): Reading<void> {
  const mark = source.mark()
  const begun = output.calls()
  yield* source.skipSpace()
  try {
    if (!begins.includes(yield* source.peek())) throw new NotACall()
    yield* read(source, output, tools)
    output.afterMarkup()
  } catch (error) {
    if (!(error instanceof NotACall || error instanceof CutOff)) throw error
    if (output.calls() > begun) {
      if (error instanceof CutOff) throw error
      return
    }
    // It is text that the user asked for, or the beginning of one.
    source.back(mark)
  }
}
