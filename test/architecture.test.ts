import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configKeys } from '../src/config/schema.ts'
import { errorKinds } from '../src/errors.ts'
import { allows, importRules, ruleOf } from './support/import-rules.ts'
import { maskSource } from './support/mask-source.ts'
import { importsOf, readSource, repositoryRoot, sourcesUnder } from './support/source-files.ts'

const product = sourcesUnder('src', 'cache', 'engines').filter(({ path }) => path.endsWith('.ts'))
const imports = new Map(product.map((file) => [file.path, importsOf(file)]))
const edges = [...imports].flatMap(([from, list]) => list.map((edge) => ({ from, ...edge })))

/** The first cycle that a walk along the imports meets, as a list of paths, or null. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>()
  const walk = (path: string, trail: readonly string[]): string[] | null => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (done.has(path)) return null
    for (const next of graph.get(path) ?? []) {
      const cycle = walk(next, [...trail, path])
      if (cycle !== null) return cycle
    }
    done.add(path)
    return null
  }
  for (const path of graph.keys()) {
    const cycle = walk(path, [])
    if (cycle !== null) return cycle
  }
  return null
}

const targetsOf = (path: string): string[] =>
  (imports.get(path) ?? []).flatMap(({ target }) => (target === null ? [] : [target]))

describe('imports', () => {
  it('have a rule for every file', () => {
    expect(product.map(({ path }) => path).filter((path) => ruleOf(path) === null)).toEqual([])
  })

  it('follow the table of who may import whom', () => {
    const forbidden = edges.filter((edge) => {
      const rule = ruleOf(edge.from)
      return rule !== null && !allows(rule, edge)
    })
    const said = forbidden.map(({ from, kind, target, specifier }) => {
      return `${from} may not import ${target ?? specifier} (${kind})`
    })
    expect(said).toEqual([])
  })

  it('point at files that exist, by their .ts names', () => {
    const wrong = edges.filter(
      ({ target }) => target !== null && !existsSync(join(repositoryRoot, target)),
    )
    expect(wrong.map(({ from, specifier }) => `${from} → ${specifier}`)).toEqual([])
  })

  it('have no cycles, types included', () => {
    expect(findCycle(new Map(product.map(({ path }) => [path, targetsOf(path)])))).toBe(null)
  })

  it('reach src/main.ts only from the executable, when a service is to run', () => {
    const users = edges.filter(({ target }) => target === 'src/main.ts')
    expect(users.map(({ from, kind }) => `${from} ${kind}`)).toEqual(['src/cli/main.ts dynamic'])
  })

  it('can be read: no import() of a computed path', () => {
    const computed = product.filter(({ text }) => /\bimport\s*\(\s*[^\s'"]/.test(maskSource(text)))
    expect(computed.map(({ path }) => path)).toEqual([])
  })

  it('would be caught when they break the table', () => {
    const rule = importRules.find(({ files }) => files.test('cache/cache.ts'))
    const edge = { specifier: 'fastify', target: null, kind: 'value' } as const
    expect(rule !== undefined && allows(rule, edge)).toBe(false)
    expect(
      findCycle(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['b']],
        ]),
      ),
    ).toEqual(['b', 'c', 'b'])
  })
})

describe('the packed package', () => {
  // dist/ has .js files: a path that is a string is not rewritten by the compiler.
  it('names no .ts file at run time', () => {
    const named = product.flatMap((file) => {
      const specifiers = new Set(importsOf(file).map(({ specifier }) => specifier))
      const masked = maskSource(file.text)
      return [...masked.matchAll(/(['"`])( *)\1/g)]
        .map((match) => file.text.slice(match.index + 1, match.index + match[0].length - 1))
        .filter((text) => /^[./\w-]+\.ts$/.test(text) && !specifiers.has(text))
        .map((text) => `${file.path} names ${text}`)
    })
    expect(named).toEqual([])
  })
})

describe('errors', () => {
  const codes = Object.keys(errorKinds).sort()

  it('are registered, wherever a source names one', () => {
    const unknown = product.flatMap(({ path, text }) =>
      [...text.matchAll(/PREFIXD_E_[A-Z_]*[A-Z]\b/g)]
        .map(([code]) => code)
        .filter((code) => !codes.includes(code))
        .map((code) => `${path} names ${code}`),
    )
    expect(unknown).toEqual([])
  })

  it('are documented, each with its section in docs/errors.md', () => {
    const { text } = readSource('docs/errors.md')
    const sections = [...text.matchAll(/^#+ `?(PREFIXD_E_\w+)`?/gm)].map(([, code]) => code)
    expect(sections.sort()).toEqual(codes)
  })
})

describe('configuration', () => {
  it('is documented: every key has a section in docs/config.md, and no other', () => {
    const { text } = readSource('docs/config.md')
    const sections = [...text.matchAll(/^### `?([\w.-]+)`?/gm)].map(([, key]) => key)
    expect(sections.sort()).toEqual([...configKeys].sort())
  })
})
