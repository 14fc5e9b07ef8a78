import { describe, expect, it } from 'vitest'
import { GrammarError } from '../../engines/errors.ts'
import { parseGbnf } from '../../engines/gbnf.ts'
import { createMatcher } from '../../engines/gbnf-matcher.ts'

function matches(gbnf: string, text: string): boolean {
  const matcher = createMatcher(parseGbnf(gbnf))
  const bytes = new TextEncoder().encode(text)
  if (!matcher.allows(bytes)) return false
  matcher.accept(bytes)
  return matcher.isComplete
}

function failure(gbnf: string): GrammarError {
  try {
    parseGbnf(gbnf)
  } catch (error) {
    if (error instanceof GrammarError) return error
    throw error
  }
  throw new Error('nothing was wrong')
}

const arithmetic = `# sums of sums
root  ::= term (ws [-+] ws
                term)*   # newlines inside of a group
term  ::= number |
          "(" root ")"
number ::= [0-9]{1,3}
ws ::= " "?
`

describe('grammars of the fake engine', () => {
  it('follow rules, groups, repetitions, comments and recursion', () => {
    for (const text of ['1', '1+2', '(1 - 22)+333', '((7))']) {
      expect(matches(arithmetic, text), text).toBe(true)
    }
    for (const text of ['', '1234', '1+', '(1', '1  + 2', '()']) {
      expect(matches(arithmetic, text), text).toBe(false)
    }
  })

  it('know the escapes, classes and literals of llama.cpp', () => {
    const gbnf = String.raw`root ::= "\"\\\n\t\r\x41é\U0001F600" [^\]\\x]{2} [a-] "]"`
    expect(matches(gbnf, '"\\\n\t\rAé😀ab-]')).toBe(true)
    expect(matches(gbnf, '"\\\n\t\rAé😀xb-]')).toBe(false)
    expect(matches('root ::= "ab"{2} "" .', 'abab\n')).toBe(true)
    expect(matches('root ::= "a" |\n"b" | ', '')).toBe(true)
    expect(matches('root ::= other\r\nother ::= "x"\r\n', 'x')).toBe(true)
  })

  it('follow deep recursion without a stack of their own', () => {
    const nested = 'root ::= "[" root? "]"'
    const depth = 20_000
    expect(matches(nested, '['.repeat(depth) + ']'.repeat(depth))).toBe(true)
    expect(matches(nested, '['.repeat(depth) + ']'.repeat(depth - 1))).toBe(false)
  })

  it('refuse bytes that are no UTF-8, and characters that cannot become an allowed one', () => {
    const matcher = createMatcher(parseGbnf('root ::= [à-ü€]+'))
    expect(matcher.allows(Uint8Array.of(0xc3))).toBe(true)
    expect(matcher.allows(Uint8Array.of(0xc2))).toBe(false)
    expect(matcher.allows(Uint8Array.of(0xe2, 0x82))).toBe(true)
    expect(matcher.allows(Uint8Array.of(0xe2, 0x83))).toBe(false)
    const single = createMatcher(parseGbnf('root ::= .'))
    for (const bytes of [[0xff], [0xc0, 0x80], [0xe0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90]]) {
      expect(single.allows(Uint8Array.from(bytes)), String(bytes)).toBe(false)
    }
    matcher.accept(Uint8Array.of(0xc3))
    expect(matcher.isComplete).toBe(false)
    matcher.accept(Uint8Array.of(0xa9))
    expect(matcher.isComplete).toBe(true)
  })

  it('say what is wrong, and in which line and column', () => {
    const cases: readonly [string, RegExp, number, number][] = [
      ['root ::= "a', /not closed/, 1, 12],
      ['root ::= "a"\nother := "b"', /`::=`/, 2, 7],
      ['root ::= ( "a"', /group is not closed/, 1, 15],
      ['root ::= missing "é" gone', /`missing` is not defined/, 1, 10],
      ['root ::= "é" [z-a]', /ends before it begins/, 1, 18],
      ['root ::= []', /no characters/, 1, 12],
      ['root ::= "\\q"', /escape is unknown/, 1, 11],
      ['root ::= "\\u12"', /escape is unknown/, 1, 11],
      ['root ::= "a"{3,2}', /ends before it begins/, 1, 18],
      ['root ::= "a"{x}', /number must come/, 1, 14],
      ['root ::= "a"{2001}', /2000 repetitions/, 1, 14],
      ['root ::= "a" }', /end of the line/, 1, 14],
      ['root ::= "a"\nroot ::= "b"', /defined twice/, 2, 1],
      ['start ::= "a"', /no rule `root`/, 1, 1],
      ['', /no rule `root`/, 1, 1],
      ['root ::= "a" | root "b"', /`root` may begin with itself/, 1, 1],
      ['root ::= x\nx ::= y? z\ny ::= "a"\nz ::= x "b"', /`x` may begin/, 2, 1],
      ['root ::= ("a"?)*', /repeats what may be empty/, 1, 10],
      [`root ::= ${'('.repeat(300)}"a"${')'.repeat(300)}`, /deeper than 256/, 1, 267],
    ]
    for (const [gbnf, message, line, column] of cases) {
      const error = failure(gbnf)
      expect(error.message).toMatch(message)
      expect([error.line, error.column], gbnf).toEqual([line, column])
      expect(error.code).toBe('PREFIXD_E_ENGINE_GRAMMAR')
    }
  })

  it('end what would take too much memory with an error of their own', () => {
    const wide = `root ::= "${'a'.repeat(101)}"{2000}`
    expect(() => parseGbnf(wide)).toThrow(/more than 200000 symbols/)
    const long = `root ::= "${'a'.repeat(500_000)}"`
    expect(() => parseGbnf(long)).toThrow(/has 500011 characters; 500000 are allowed/)
    const ways = Array.from({ length: 12 }, (_, i) => `r${i} ::= ("a"? r${i + 1} | "a" r${i + 1})`)
    const ambiguous = `root ::= (r0 "b"){1,2000}\n${ways.join('\n')}\nr12 ::= "a"*\n`
    const matcher = createMatcher(parseGbnf(ambiguous))
    matcher.accept(new TextEncoder().encode('a'.repeat(2000)))
    expect(matcher.allows(new TextEncoder().encode('ab'))).toBe(true)
  })
})
