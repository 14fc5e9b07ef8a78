/**
 * Who may import whom. The first rule whose `files` fit a file is its rule; a file that no rule
 * fits is a mistake in the table. Everybody may import from their own `own` folder or file.
 */
import type { ImportEdge } from './source-files.ts'

export interface ImportRule {
  readonly files: RegExp
  /** Files and packages that may be imported for their values, and so for their types too. */
  readonly values: RegExp
  /** More that may be imported for types. */
  readonly types?: RegExp
  /** More that may be loaded when it is needed, by `import()`. */
  readonly dynamic?: RegExp
}

const nothing = /^$/
const node = 'node:[a-z/_]+'
const anyOf = (...parts: readonly string[]): RegExp => new RegExp(`^(${parts.join('|')})$`)

const fileLock = 'cache/file-lock\\.ts'
const errors = 'src/errors\\.ts'
const cacheTypes = 'cache/types\\.ts'
const engineTypes = 'engines/types\\.ts'
const cliPackages = ['@stricli/core', 'close-with-grace', 'eventsource-parser/stream']
const catalogTypes = 'src/catalog/types\\.ts'
const pipelineTypes = 'src/pipeline/((admin|budget|cache-event|session)-)?types\\.ts'

export const importRules: readonly ImportRule[] = [
  // The vocabulary and the interfaces: types only.
  { files: anyOf(cacheTypes, errors), values: nothing },
  { files: anyOf('cache/tiers/tier\\.ts', engineTypes), values: nothing, types: anyOf(cacheTypes) },
  {
    files: anyOf(pipelineTypes),
    values: nothing,
    types: anyOf(pipelineTypes, cacheTypes, engineTypes),
  },

  // The cache: a library. Its pure files take hashers, time and rates as arguments.
  {
    files: anyOf('cache/(chain|boundaries|retention)\\.ts'),
    values: nothing,
    types: anyOf(cacheTypes),
  },
  {
    files: anyOf('cache/retention-order\\.ts'),
    values: anyOf('cache/(recency|retention)\\.ts'),
  },
  {
    files: anyOf('cache/keeper\\.ts'),
    values: anyOf('cache/(retention|use-counts)\\.ts'),
  },
  { files: anyOf('cache/(recency|use-counts)\\.ts'), values: nothing },
  {
    files: anyOf('cache/plan\\.ts'),
    values: anyOf('cache/boundaries\\.ts'),
    types: anyOf(cacheTypes),
  },
  {
    files: anyOf('cache/evict\\.ts'),
    values: nothing,
    types: anyOf(cacheTypes, 'cache/prefix-index\\.ts', 'cache/record-order\\.ts'),
  },
  {
    files: anyOf('cache/tiers/.*'),
    values: anyOf('cache/.*', node, 'koffi', 'lmdb', 'msgpackr'),
  },
  { files: anyOf('cache/.*'), values: anyOf('cache/.*', node, 'msgpackr', 'xxhash-wasm') },

  // The engines: workers. Of the cache they know the vocabulary.
  {
    files: anyOf('engines/llamacpp/.*'),
    values: anyOf('engines/.*', node, 'koffi', 'msgpackr', '@huggingface/jinja'),
    types: anyOf(cacheTypes),
  },
  {
    files: anyOf('engines/.*'),
    values: anyOf('engines/.*', node, 'koffi', 'msgpackr'),
    types: anyOf(cacheTypes),
  },

  // The product.
  { files: anyOf('src/config/.*'), values: anyOf('src/config/.*', errors, node, 'smol-toml') },
  {
    files: anyOf('src/models/.*'),
    values: anyOf('src/(models|config|observe)/.*', errors, node),
    types: anyOf(fileLock),
    dynamic: anyOf(fileLock),
  },
  {
    files: anyOf('src/environment/.*'),
    values: anyOf(
      'src/(environment|config)/.*',
      'src/models/(in-use|pull-lock)\\.ts',
      'engines/on-disk\\.ts',
      errors,
      node,
    ),
  },
  {
    files: anyOf('src/observe/.*'),
    values: anyOf('src/observe/.*', 'src/config/limits\\.ts', errors, node),
    types: anyOf(pipelineTypes, cacheTypes, engineTypes),
  },
  {
    files: anyOf(catalogTypes),
    values: nothing,
    types: anyOf(pipelineTypes, cacheTypes, 'cache/listener\\.ts'),
  },
  {
    files: anyOf('src/catalog/.*'),
    values: anyOf('src/catalog/.*', 'src/config/limits\\.ts', errors, node, 'better-sqlite3'),
    types: anyOf(pipelineTypes, cacheTypes),
  },
  {
    files: anyOf('src/chat/.*'),
    values: anyOf('src/chat/.*', 'src/config/limits\\.ts', errors, node),
    types: anyOf(pipelineTypes, engineTypes),
  },
  {
    // What-if: of the cache only what decides who stays, which needs neither bytes nor a disk.
    files: anyOf('src/simulate/.*'),
    values: anyOf(
      'src/(simulate|config)/.*',
      'cache/(keeper|recency|retention|retention-order)\\.ts',
      errors,
      node,
    ),
  },
  {
    files: anyOf('src/pipeline/.*'),
    values: anyOf(
      '(src/pipeline|src/observe|src/chat/answer|src/chat/grammar|src/chat/template)/.*',
      '(cache|engines)/index\\.ts',
      'src/config/(limits|sizes)\\.ts',
      errors,
      node,
    ),
    types: anyOf(cacheTypes, engineTypes, catalogTypes),
  },
  {
    files: anyOf('src/api/.*'),
    values: anyOf(
      'src/(api|chat|config|observe)/.*',
      errors,
      node,
      'fastify',
      '@fastify/.*',
      'typebox(/.*)?',
    ),
    // The client's own types say whether our answers are what it expects; nothing of it runs.
    types: anyOf(pipelineTypes, cacheTypes, engineTypes, 'openai(/.*)?', '@anthropic-ai/sdk'),
  },
  {
    // The executable: it lends the serve command the rest of the product, when that is asked for.
    files: anyOf('src/cli/main\\.ts'),
    values: anyOf('src/(cli|config)/.*', node),
    dynamic: anyOf('src/main\\.ts'),
  },
  {
    files: anyOf('src/cli/.*'),
    values: anyOf('src/(cli|config|models|environment|simulate)/.*', errors, node, ...cliPackages),
    types: anyOf(
      pipelineTypes,
      'src/api/native/((budgets|events|history|session|stats|upkeep)-)?schema\\.ts',
    ),
  },
  {
    files: anyOf('src/storage\\.ts'),
    values: anyOf(
      'cache/index\\.ts',
      'src/catalog/open\\.ts',
      'src/config/(encryption-key|limits|machine-speed)\\.ts',
    ),
    types: anyOf(catalogTypes, 'src/config/schema\\.ts', 'src/observe/log\\.ts'),
  },
  { files: anyOf('src/(main|index|offline)\\.ts'), values: /^(?!src\/main\.ts$)/ },
]

export const ruleOf = (path: string): ImportRule | null =>
  importRules.find(({ files }) => files.test(path)) ?? null

export function allows(rule: ImportRule, { specifier, target, kind }: ImportEdge): boolean {
  const name = target ?? specifier
  if (rule.values.test(name)) return true
  return kind === 'type' ? rule.types?.test(name) === true : isDynamic(rule, name, kind)
}

const isDynamic = (rule: ImportRule, name: string, kind: ImportEdge['kind']): boolean =>
  kind === 'dynamic' && rule.dynamic?.test(name) === true
