import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { memoryOf } from '../../../engines/llamacpp/architecture.ts'
import { loadLibrary } from '../../../engines/llamacpp/library.ts'
import {
  findLibraryFolder,
  knownRelease,
  type LibraryFolder,
} from '../../../engines/llamacpp/library-folder.ts'
import { checkLayouts } from '../../../engines/llamacpp/structs.ts'

const libraryError = (words: string) =>
  expect.objectContaining({
    code: 'PREFIXD_E_ENGINE_LIBRARY',
    message: expect.stringContaining(words),
  })

const parent = mkdtempSync(join(tmpdir(), 'prefixd-libraries-'))
afterAll(() => rmSync(parent, { recursive: true }))

function folderOf(...files: string[]): string {
  const folder = mkdtempSync(join(parent, 'build-'))
  for (const file of files) writeFileSync(join(folder, file), '')
  return folder
}

describe('the folder of the libraries', () => {
  test('is the one of this platform’s package unless the user names another', () => {
    const folder = findLibraryFolder(null)
    expect(folder.origin).toMatch(/^@node-llama-cpp\/\S+ \d/)
    expect(folder.taggedRelease).not.toBeNull()
  })

  test.each([
    ['libllama.so', 'libggml.so', 'libggml-base.so', null],
    ['libllama.v0.5.0.so', 'libggml.v0.5.0.so', 'libggml-base.so', 'v0.5.0'],
    ['libllama.cuda.v0.4.0.so', 'libggml.cuda.v0.4.0.so', 'libggml-base.cuda.v0.4.0.so', 'v0.4.0'],
    ['libllama.metal.v0.5.0.dylib', 'libggml.dylib', 'libggml-base.dylib', 'v0.5.0'],
    ['llama.v0.5.0.dll', 'ggml.v0.5.0.dll', 'ggml-base.dll', 'v0.5.0'],
  ])('may hold %s', (llama, ggml, base, release) => {
    const path = folderOf(llama, ggml, base, 'libggml-cpu-zen4.so', 'libllama-common.so')
    expect(findLibraryFolder(path)).toEqual({
      path,
      llama: join(path, llama),
      ggml: join(path, ggml),
      ggmlBase: join(path, base),
      taggedRelease: release,
      origin: 'own build',
    })
  })

  test('that is missing, incomplete or ambiguous is refused with what to do', () => {
    const missing = join(folderOf(), 'nowhere')
    expect(() => findLibraryFolder(missing)).toThrow(libraryError('cannot be read'))
    const incomplete = folderOf('libllama.so')
    expect(() => findLibraryFolder(incomplete)).toThrow(libraryError('no libggml'))
    const two = folderOf('libllama.so', 'libllama.v0.5.0.so', 'libggml.so', 'libggml-base.so')
    expect(() => findLibraryFolder(two)).toThrow(libraryError('2 different libllama'))
  })

  test('that holds no real libraries is refused with the platform and the remedy', () => {
    const path = folderOf('libllama.v0.5.0.so', 'libggml.v0.5.0.so', 'libggml-base.so')
    expect(() => loadLibrary(path)).toThrow(libraryError(`${process.platform}-${process.arch}`))
  })
})

describe('a release of llama.cpp', () => {
  const folder: LibraryFolder = {
    path: '/libraries',
    ggmlBase: 'b',
    ggml: 'g',
    llama: 'l',
    taggedRelease: null,
    origin: 'own build',
  }

  test.each([
    ['v0.5.0', '0.5.0-dev', 'v0.5.0'],
    ['v0.4.0', null, 'v0.4.0'],
    [null, '0.5.0', 'v0.5.0'],
  ])('with tag %s that reports %s is %s', (taggedRelease, reported, release) => {
    expect(knownRelease({ ...folder, taggedRelease }, reported)).toBe(release)
  })

  test.each([
    ['v0.6.0', '0.6.0', 'v0.6.0, which is not known'],
    [null, '0.6.1-dev', 'v0.6.1, which is not known'],
    [null, null, 'an unnamed release'],
    ['v0.5.0', '0.6.0', 'says in its code'],
  ])('with tag %s that reports %s is refused', (taggedRelease, reported, words) => {
    expect(() => knownRelease({ ...folder, taggedRelease }, reported)).toThrow(libraryError(words))
  })

  test('whose settings are laid out differently is refused, with the field', () => {
    const { calls } = loadLibrary(null)
    const model = calls.llama_model_default_params()
    const context = calls.llama_context_default_params()
    expect(() => checkLayouts(model, context, '/libraries')).not.toThrow()
    expect(() => checkLayouts(model, { ...context, n_seq_max: 0 }, '/libraries')).toThrow(
      libraryError('llama_context_params.n_seq_max is 0 instead of 1'),
    )
  })
})

describe('the memory of a model', () => {
  const plain = { name: 'llama', windowTokens: 0, recurrent: false, hybrid: false }

  test.each([
    ['kv', plain],
    ['kv', { ...plain, name: 'gemma3' }],
    ['iswa', { ...plain, name: 'gemma3', windowTokens: 512 }],
    ['hybrid', { ...plain, name: 'lfm2', hybrid: true }],
    ['hybrid-iswa', { ...plain, name: 'lfm2', hybrid: true, windowTokens: 128 }],
    ['recurrent', { ...plain, name: 'mamba2', recurrent: true }],
  ])('is %s where that is known', (memory, facts) => {
    expect(memoryOf(facts)).toEqual({ memory, refusal: null })
  })

  test.each([
    ['that nobody has heard of', { ...plain, name: 'brandnew' }, 'is not among those'],
    ['that is new among the hybrid ones', { ...plain, name: 'llama', hybrid: true }, 'not among'],
    ['with a window where none is known', { ...plain, windowTokens: 512 }, 'not among'],
    ['with compressed rows', { ...plain, name: 'deepseek4', hybrid: true }, 'compressed rows'],
    ['with an index', { ...plain, name: 'qwen4exp', hybrid: true }, 'by an index'],
    ['that attends in chunks', { ...plain, name: 'llama4', windowTokens: 8192 }, 'in chunks'],
  ])('%s is served without cache, with the reason', (_, facts, words) => {
    const { memory, refusal } = memoryOf(facts)
    expect(memory).toBeNull()
    expect(refusal).toContain(words)
    // Whoever shows the reason says what follows from it.
    expect(refusal).not.toContain('without cache')
  })
})
