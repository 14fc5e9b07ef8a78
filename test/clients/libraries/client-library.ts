/** What the tests ask of every client library, in words that each says in its own way. */

/** As the library's own usage fields say it. */
export interface Usage {
  /** The whole prompt, what was cached included. */
  readonly promptTokens: number
  readonly cachedTokens: number
}

export interface Answer extends Usage {
  readonly text: string
  readonly reasoning: string
}

export interface ToolLoop {
  readonly call: { readonly name: string; readonly city: unknown }
  /** Of the request that was answered with a call, and of the one that brought the result. */
  readonly asked: Usage
  readonly answered: Usage
  readonly text: string
}

export interface SayOptions {
  readonly stream?: boolean
  readonly signal?: AbortSignal
  /** Called with each piece of text of a stream. */
  readonly onText?: () => void
}

export interface Dialogue {
  /** The user's next words, behind everything that was said before. */
  say(text: string, options?: SayOptions): Promise<Answer>
  /** A whole loop: the question, a call of `weather`, its result, and the answer in words. */
  loop(text: string): Promise<ToolLoop>
  /** An answer that follows `cityJsonSchema`, parsed. */
  structured(text: string): Promise<unknown>
}

export interface DialogueOptions {
  /** Of the service, without a path. */
  readonly url: string
  readonly model?: string
  readonly apiKey?: string
  /** Enough by default: the fake model ends its answers itself. */
  readonly maxTokens?: number
}

type Failure = 'badRequest' | 'noKey' | 'notFound' | 'tooMany'

export interface ClientLibrary {
  open(options: DialogueOptions): Dialogue
  /** Of a service that this library can read whole, over those of the tests. */
  readonly flags?: Readonly<Record<string, string>>
  /** False where the library has no field for it in this dialect. */
  readonly readsReasoning: boolean
  /** Is this what the library throws then, as its documentation tells programs to ask it? */
  readonly isError: Readonly<Record<Failure, (error: unknown) => boolean>>
}

export const weather = {
  name: 'get_weather',
  description: 'The weather of a city.',
  result: 'It rains.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
} as const

export const cityJsonSchema = {
  type: 'object',
  properties: { city: { type: 'string' }, size: { enum: ['large', 'small'] } },
  required: ['city', 'size'],
  additionalProperties: false,
} as const
