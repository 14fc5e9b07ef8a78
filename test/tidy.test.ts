import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { functionLengths } from './support/function-lengths.ts'
import { maskSource } from './support/mask-source.ts'
import {
  filesUnder,
  readSource,
  repositoryRoot,
  type SourceFile,
  sourcesUnder,
} from './support/source-files.ts'

const fileLines = 400
const functionLines = 70
const lineLength = 100

const product = sourcesUnder('src', 'cache', 'engines')
const rootConfigs = ['vitest.config.ts'].map(readSource)
const sources = [...product, ...sourcesUnder('test', 'bench', 'bin'), ...rootConfigs]
const documents = [
  ...['README', 'ARCHITECTURE', 'STYLE', 'CHANGELOG', 'CONTRIBUTING', 'SECURITY']
    .map((name) => `${name}.md`)
    .filter((path) => existsSync(join(repositoryRoot, path))),
  ...['docs', 'cache', 'engines', 'bench'].flatMap(filesUnder).filter((path) => /\.md$/.test(path)),
].map(readSource)
const rootTexts = ['package.json', 'package-lock.json', '.npmrc', '.ci/run', 'bin/prefixd']
const texts = [...sources, ...documents, ...rootTexts.map(readSource)]

/** `path:line  text` of every line that matches, for a failure that can be clicked. */
function linesThat(files: readonly SourceFile[], isBad: (line: string) => boolean): string[] {
  return files.flatMap(({ path, lines }) =>
    lines.flatMap((line, index) => (isBad(line) ? [`${path}:${index + 1}  ${line.trim()}`] : [])),
  )
}

const maskedLinesThat = (files: readonly SourceFile[], pattern: RegExp): string[] =>
  linesThat(
    files.map((file) => ({ ...file, lines: maskSource(file.text).split('\n') })),
    (line) => pattern.test(line),
  )

describe('the size of things', () => {
  it(`keeps files within ${fileLines} lines`, () => {
    const long = sources.filter(({ lines }) => lines.length - 1 > fileLines)
    expect(long.map(({ path, lines }) => `${path} has ${lines.length - 1}`)).toEqual([])
  })

  it(`keeps functions within ${functionLines} lines`, () => {
    const long = sources.flatMap(({ path, text }) =>
      functionLengths(text)
        .filter(({ ownLines }) => ownLines > functionLines)
        .map(({ line, ownLines }) => `${path}:${line} has ${ownLines}`),
    )
    expect(long).toEqual([])
  })

  it(`keeps lines within ${lineLength} characters, addresses and names of tests aside`, () => {
    const files = [...sources, readSource('bin/prefixd'), readSource('.ci/run')]
    const isWhole = (line: string): boolean => /https?:|hf:|^\s*(it|test|describe)\(/.test(line)
    const isLong = (line: string): boolean => line.length > lineLength && !isWhole(line)
    expect(linesThat(files, isLong)).toEqual([])
  })
})

describe('names', () => {
  const paths = ['src', 'cache', 'engines', 'test', 'bench', 'bin', 'docs'].flatMap(filesUnder)

  it('are kebab-case', () => {
    const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/
    const isPlain = (part: string): boolean => kebab.test(part) || part === 'README.md'
    const isPython = (path: string): boolean => /\.(py|pyi)$/.test(path)
    const odd = paths.filter((path) => !isPython(path) && !path.split('/').every(isPlain))
    expect(odd).toEqual([])
  })

  it('say what is inside: no utils, helpers, common or misc', () => {
    const vague = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'shared', 'lib'])
    expect(paths.filter((path) => path.split(/[/.-]/).some((word) => vague.has(word)))).toEqual([])
  })
})

describe('the code', () => {
  it('has no any', () => {
    expect(maskedLinesThat(sources, /(?<![.\w$])any\b(?!\s*[:(=])/)).toEqual([])
  })

  it('has no default exports, config files aside', () => {
    const files = sources.filter(({ path }) => !path.endsWith('.config.ts'))
    expect(maskedLinesThat(files, /\bexport\s+default\b|\bas\s+default\b/)).toEqual([])
  })

  it('has no console outside the CLI', () => {
    const files = product.filter(({ path }) => !path.startsWith('src/cli/'))
    expect(maskedLinesThat(files, /\bconsole\./)).toEqual([])
  })

  it('has no notes to do later', () => {
    const note = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`)
    expect(linesThat(texts, (line) => note.test(line))).toEqual([])
  })

  it('has no tests that are skipped or run alone', () => {
    const tests = sources.filter(({ path }) => path.startsWith('test/'))
    expect(maskedLinesThat(tests, /\b(it|test|describe)\.(only|skip|todo)\b/)).toEqual([])
  })
})

describe('the committed text', () => {
  it('names no folder of a particular machine', () => {
    const folder = /(?<![\w.~}$])(\/work\/|\/root\/|\/(home|Users)\/(?!u\b|you\b|ada\b)\w)/
    expect(linesThat(texts, (line) => folder.test(line))).toEqual([])
  })

  it('names no package registry', () => {
    const hosts = [
      ['registry', 'npmjs', 'org'],
      ['registry', 'yarnpkg', 'com'],
      ['pypi', 'org'],
      ['files', 'pythonhosted', 'org'],
    ].map((parts) => parts.join('.'))
    const names = (line: string): boolean => hosts.some((host) => line.includes(host))
    expect(linesThat(texts, names)).toEqual([])
    expect(readSource('package-lock.json').text).not.toContain('"resolved"')
  })

  it('locks the packages of every platform, without which npm ci refuses to start', () => {
    const { packages } = JSON.parse(readSource('package-lock.json').text) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>
    }
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => packages[`node_modules/${name}`] === undefined)
        .map((name) => `${path} wants ${name}`),
    )
    expect(missing).toEqual([])
  })

  it('has the documents that a visitor looks for', () => {
    const wanted = ['LICENSE', 'README.md', 'ARCHITECTURE.md', 'STYLE.md', 'CHANGELOG.md']
    const more = ['CONTRIBUTING.md', 'SECURITY.md', 'docs/errors.md', 'docs/troubleshooting.md']
    const missing = [...wanted, ...more].filter((path) => !existsSync(join(repositoryRoot, path)))
    expect(missing).toEqual([])
  })

  it('has no broken links between documents', () => {
    const broken = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => join(dirname(path), target ?? ''))
        .filter((target) => !existsSync(join(repositoryRoot, target)))
        .map((target) => `${path} → ${target}`),
    )
    expect(broken).toEqual([])
  })

  it('packs only files that exist', () => {
    const { files, bin, exports } = JSON.parse(readSource('package.json').text) as {
      files: string[]
      bin: Record<string, string>
      exports: Record<string, { default?: string }>
    }
    const sourceOf = (built: string): string =>
      built.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts')
    const doors = Object.values(exports).flatMap((door) => door.default ?? [])
    const named = files.filter((file) => file !== 'dist' && !file.startsWith('!'))
    const committed = [...named, ...Object.values(bin)]
    const wanted = [...committed, ...doors.map(sourceOf)]
    expect(wanted.filter((path) => !existsSync(join(repositoryRoot, path)))).toEqual([])
  })
})
