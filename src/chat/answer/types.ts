/** How a model family writes its answers: what the text means, and how a call is written. */

/** Pieces of one kind that follow each other belong together; how they are cut means nothing. */
export type AnswerPart =
  /** `at`: where it stands in the answer as it was written, markup included. */
  | { readonly type: 'text'; readonly text: string; readonly at: number }
  | { readonly type: 'reasoning'; readonly text: string }
  /** Begins a call; `index` counts from 0. */
  | { readonly type: 'tool_call'; readonly index: number; readonly name: string }
  /** A piece of the call's arguments, which are one JSON object when the call is complete. */
  | { readonly type: 'tool_arguments'; readonly index: number; readonly text: string }

/**
 * Reads one answer as it comes. Markup never reaches a part. What only looks like markup comes out
 * as text; a call that the answer's end cuts off before its name is known is left out.
 */
export interface AnswerParser {
  push(text: string): AnswerPart[]
  end(): AnswerPart[]
}

export interface ToolShape {
  readonly name: string
  /** JSON schema of the arguments, as the client sent it; families without types look there. */
  readonly parameters: unknown
}

export interface ParserOptions {
  /** Empty: calls are not looked for, and their markup is text. */
  readonly tools: readonly ToolShape[]
  /** The end of the rendered prompt: some templates begin the model's reasoning there. */
  readonly promptEnd: string
}

/** A call in the family's own words: `before(name)`, its JSON arguments, `after`. */
export interface CallFrame {
  before(name: string): string
  readonly after: string
}

export interface WrittenCall {
  readonly name: string
  /** JSON. */
  readonly arguments: string
}

export interface AnswerFormat {
  readonly name: string
  /** Does its template know reasoning? */
  readonly reasons: boolean
  /** What stands around its reasoning; null where it has none, or whole messages instead. */
  readonly reasoning: { readonly open: string; readonly close: string } | null
  /** Text and calls as the model itself writes them, for templates that cannot. */
  write(text: string, calls: readonly WrittenCall[]): string
  /** Null where arguments are no JSON in this family: XML, Python. */
  readonly callFrame: CallFrame | null
  /** Null where no text of this request's answer can mean anything but itself. */
  parser(options: ParserOptions): AnswerParser | null
}
