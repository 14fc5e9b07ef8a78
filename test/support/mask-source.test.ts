import { describe, expect, it } from 'vitest'
import { functionLengths } from './function-lengths.ts'
import { maskSource } from './mask-source.ts'
import { importsOf, type SourceFile } from './source-files.ts'

const file = (text: string): SourceFile => ({ path: 'src/a/b.ts', text, lines: text.split('\n') })

describe('masking a source', () => {
  it.each([
    ["const a = 'x // y' // any", "const a = '      '       "],
    ['/* a\n b */ c', '    \n      c'],
    ['a / b / c', 'a / b / c'],
    ['return /[/"]x/.test(y)', 'return /     /.test(y)'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is a source to be masked
    ['`a${ { b: "c" } }d` + e', '` ${ { b: " " } } ` + e'],
    ["'it\\'s' + f", "'     ' + f"],
  ])('keeps the code of %j', (text, masked) => {
    expect(maskSource(text)).toBe(masked)
  })
})

describe('reading imports', () => {
  it('tells values, types and dynamic imports apart', () => {
    const text = [
      "import { join } from 'node:path'",
      "import type { A } from '../types.ts'",
      "import { type B, type C } from './c.ts'",
      "import { type D, e } from './d.ts'",
      "import './side-effect.ts'",
      "export * from '../all.ts'",
      "const f = await import('./lazy.ts')",
      "type G = typeof import('./g.ts')",
      "// import { no } from './no.ts'",
      `const text = "import { no } from './no.ts'"`,
    ].join('\n')
    expect(importsOf(file(text)).map(({ target, kind }) => [target, kind])).toEqual([
      [null, 'value'],
      ['src/types.ts', 'type'],
      ['src/a/c.ts', 'type'],
      ['src/a/d.ts', 'value'],
      ['src/a/side-effect.ts', 'value'],
      ['src/all.ts', 'value'],
      ['src/a/lazy.ts', 'dynamic'],
      ['src/a/g.ts', 'type'],
    ])
  })
})

describe('measuring functions', () => {
  it('finds functions, methods and arrows, and no control flow', () => {
    const text = [
      'function a(b: { c: number }): Promise<void> {',
      '  if (b) {',
      '    return',
      '  }',
      '}',
      'const d = () => {',
      '}',
      'class E { async f(): Promise<{ g: 1 }> {',
      '  for await (const h of i) {',
      '  }',
      '} }',
    ].join('\n')
    const lengths = functionLengths(text).map(({ line, ownLines }) => [line, ownLines])
    expect(lengths).toContainEqual([1, 5])
    expect(lengths).toContainEqual([6, 2])
    expect(lengths.filter(([line]) => line === 2 || line === 9)).toEqual([])
  })

  it('counts the lines of an inner function for itself', () => {
    const text = ['const a = () => {', '  return () => {', '    b()', '    c()', '  }', '}']
    const lengths = functionLengths(text.join('\n')).map(({ line, ownLines }) => [line, ownLines])
    expect(lengths).toEqual([
      [2, 4],
      [1, 3],
    ])
  })
})
