/** Which tokens are named with which text, whatever is held back and however tokens are cut. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { answerFormatOf } from '../../src/chat/answer/format.ts'
import { createAnswerReader } from '../../src/pipeline/answer-reader.ts'
import type { SampledToken } from '../../src/pipeline/attribution.ts'
import type { GenerateEvent } from '../../src/pipeline/types.ts'

const template = '<think>…</think> <tool_call>\n{…}\n</tool_call>'
const tools = [{ name: 'f', parameters: { type: 'object' } }]
const call = '<tool_call>\n{"name": "f", "arguments": {"a": "see me"}}\n</tool_call>'

interface Piece {
  readonly from: number
  readonly text: string
}

/** `text` is what is written, in tokens that end at these places. */
function read(text: string, ends: readonly number[], stops: readonly string[], parsed = true) {
  const reader = createAnswerReader({
    parser: parsed ? answerFormatOf(template).parser({ tools, promptEnd: '' }) : null,
    stops,
    parallelCalls: true,
    dialect: 'chat',
    namesTokens: true,
  })
  const cuts = [...new Set([...ends.map((end) => end % text.length), text.length])]
  const pieces: Piece[] = []
  const events: GenerateEvent[] = []
  let from = 0
  for (const to of cuts.filter((cut) => cut > 0).sort((a, b) => a - b)) {
    const piece = { from, text: text.slice(from, to) }
    if (!reader.isOver) events.push(...reader.push(piece.text, tokenOf(pieces.length)))
    pieces.push(piece)
    from = to
  }
  if (!reader.isOver) events.push(...reader.end())
  return { pieces, events: events.filter((event) => event.type === 'text') }
}

const tokenOf = (token: number): SampledToken => ({
  token,
  logprobs: { logprob: -token, bytes: Uint8Array.of(token), top: [] },
})

type TextEvent = Extract<GenerateEvent, { type: 'text' }>

/** Every named token's text stands in the visible text where it is said to begin. */
function expectTrue(events: readonly TextEvent[], pieces: readonly Piece[]): void {
  const visible = events.map(({ text }) => text).join('')
  const named = events.flatMap(({ tokens }) => tokens ?? [])
  const order = named.map(({ token }) => token)
  expect(order).toEqual([...new Set(order)].sort((a, b) => a - b))
  for (const [index, { token, atChar }] of named.entries()) {
    const end = named[index + 1]?.atChar ?? visible.length
    // One token may have text on both sides of markup.
    expect(isPartOf(visible.slice(atChar, end), pieces[token]?.text ?? '')).toBe(true)
  }
  expect(named[0]?.atChar ?? 0).toBe(0)
  let length = 0
  for (const { text, tokens } of events) {
    length += text.length
    for (const { atChar } of tokens ?? []) expect(atChar).toBeLessThan(length)
  }
}

/** Are these characters all in the text, in their order? */
function isPartOf(part: string, text: string): boolean {
  let at = 0
  for (const char of text) if (char === part[at]) at += 1
  return at >= part.length
}

const cuts = fc.array(fc.nat(400), { maxLength: 60 })

describe('naming tokens: property', () => {
  it.each([
    ['plain text', 'the end is not the END of it', ['END']],
    ['text that looks like markup', 'a <b> <to <tool_ca c>d', []],
    ['thoughts before text', '<think>\nthe same words\n</think>\n\nthe same words', []],
    ['a call behind text', `see me \n${call}`, []],
    ['a stop string across tokens', 'one two STOP three', ['STOP', 'twice']],
    ['spaces that are held', 'a   b\n\n   c   ', []],
    ['text around two calls', `x ${call}\n${call} see me`, []],
  ])('names each visible token of %s once, in order, with its text', (_, text, stops) => {
    const property = fc.property(cuts, fc.boolean(), (ends, parsed) => {
      const { events, pieces } = read(text, ends, stops, parsed)
      expectTrue(events, pieces)
    })
    fc.assert(property, { numRuns: 150 })
  })
})

describe('naming tokens', () => {
  const tokensOf = (text: string, ends: readonly number[], stops: readonly string[] = []) =>
    read(text, ends, stops).events.flatMap(({ tokens }) => tokens ?? [])

  it('leaves out thoughts, and the markup of calls', () => {
    const text = `<think>a</think>b\n${call}`
    const all = [...text].map((_, index) => index)
    expect(tokensOf(text, all).map(({ token }) => token)).toEqual([text.indexOf('b')])
  })

  it('leaves out a stop string, and what follows it', () => {
    expect(tokensOf('ab STOP cd', [1, 2, 3, 5, 7, 8, 9], [' STOP'])).toMatchObject([
      { token: 0, atChar: 0 },
      { token: 1, atChar: 1 },
    ])
  })

  it('names the tokens that share a character together', () => {
    const reader = createAnswerReader({
      ...{ parser: null, stops: [], parallelCalls: true, namesTokens: true },
      dialect: 'chat',
    })
    expect(reader.push('', tokenOf(0))).toEqual([])
    expect(reader.push('é', tokenOf(1))).toMatchObject([
      {
        type: 'text',
        text: 'é',
        tokens: [
          { token: 0, atChar: 0 },
          { token: 1, atChar: 0 },
        ],
      },
    ])
  })
})
