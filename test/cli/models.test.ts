import { describe, expect, it } from 'vitest'
import type { EnvironmentDoor, ModelsDoor } from '../../src/cli/context.ts'
import { PrefixdError } from '../../src/errors.ts'
import { canBePulled, kindOfEngine } from '../../src/models/index.ts'
import { wrongKind } from '../../src/models/model-kind.ts'
import { prefixd } from './run.ts'

const mebibyte = 1024 ** 2
const stored = {
  name: 'smollm2-135m',
  kind: 'gguf' as const,
  path: '/home/ada/.cache/prefixd/models/smollm2-135m.gguf',
  sizeBytes: 98_362_432,
  digest: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  source: 'hf:owner/repo/file.gguf',
  pulledAtMs: 1_764_000_000_000,
}

/** A models door in which each call must be expected. */
function door(expected: Partial<ModelsDoor>): ModelsDoor {
  const refuse = async () => {
    throw new Error('not expected in this test')
  }
  return {
    canBePulled,
    checkRemovable: refuse,
    kindOfEngine,
    listModels: refuse,
    memoryFigures: refuse,
    placeFolder: refuse,
    pullModel: refuse,
    removeModel: refuse,
    resolveModel: refuse,
    ...expected,
  }
}

const list: ModelsDoor['listModels'] = async () => ({
  directory: '/home/ada/.cache/prefixd/models',
  stored: [stored],
  partial: [
    {
      name: 'qwen3-0.6b',
      kind: 'gguf',
      receivedBytes: 320 * mebibyte,
      totalBytes: 610 * mebibyte,
      source: 'hf:owner/qwen/file.gguf',
    },
  ],
  discovered: [
    {
      name: 'llama3.2:1b',
      fullName: 'llama3.2:1b',
      kind: 'gguf',
      path: '/usr/share/ollama/blobs/sha256-aa',
      sizeBytes: 1300 * mebibyte,
      origin: 'ollama',
      digest: null,
      revision: null,
    },
  ],
  available: [
    {
      name: 'qwen2.5-1.5b-instruct',
      title: 'Qwen2.5 1.5B Instruct, Q4_K_M',
      licence: 'Apache-2.0',
      sizeBytes: 1_120_000_000,
      sha256: null,
      sources: [],
    },
  ],
})

describe('prefixd models ls', () => {
  for (const width of [80, 120]) {
    it(`shows what is here, half here and to be had, within ${width} columns`, async () => {
      const ran = await prefixd(['models', 'ls'], { models: door({ listModels: list }), width })
      await expect(ran.out).toMatchFileSnapshot(`golden/models-ls.${width}.txt`)
      expect(ran).toMatchObject({ exit: 0, err: '' })
    })
  }

  it('prints JSON in the words of the API', async () => {
    const ran = await prefixd(['models', 'ls', '--json'], { models: door({ listModels: list }) })
    await expect(ran.out).toMatchFileSnapshot('golden/models-ls.json.txt')
  })
})

const figures: ModelsDoor['memoryFigures'] = async (path) =>
  path === stored.path
    ? {
        layers: 30,
        trainedContextTokens: 8192,
        kinds: ['kv'],
        kvBytesPerToken: 23_040,
        bytesAt8k: 8192 * 23_040,
        bytesAt32k: 32_768 * 23_040,
        guess: null,
      }
    : {
        layers: 26,
        trainedContextTokens: 32_768,
        kinds: ['kv', 'window'],
        kvBytesPerToken: 4096,
        bytesAt8k: 8192 * 4096 + 11 * mebibyte,
        bytesAt32k: 32_768 * 4096 + 11 * mebibyte,
        guess: 'The file does not say which of its 26 layers have a window; all are counted whole.',
      }

describe('prefixd models ls --long', () => {
  const models = door({ listModels: list, memoryFigures: figures })

  for (const width of [80, 120]) {
    it(`shows what each model here takes of the memory, within ${width} columns`, async () => {
      const ran = await prefixd(['models', 'ls', '--long'], { models, width })
      await expect(ran.out).toMatchFileSnapshot(`golden/models-ls-long.${width}.txt`)
      expect(ran).toMatchObject({ exit: 0, err: '' })
      expect(Math.max(...ran.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width)
    })
  }

  it('prints JSON', async () => {
    const ran = await prefixd(['models', 'ls', '--long', '--json'], { models })
    await expect(ran.out).toMatchFileSnapshot('golden/models-ls-long.json.txt')
    expect(JSON.parse(ran.out)).toHaveLength(2)
  })

  it('asks what MLX computes with once, and only where a model is for MLX', async () => {
    let asked = 0
    const environment = {
      mlxComputer: async () => {
        asked += 1
        return { device: 'cpu', hasBlas: true } as const
      },
    }
    await prefixd(['models', 'ls', '--long'], { models, environment })
    expect(asked).toBe(0)
    const memoryFigures: ModelsDoor['memoryFigures'] = async (path, mlx) => {
      const { hasBlas } = await mlx()
      const given = await figures(path, mlx)
      return given && { ...given, kvBytesPerToken: hasBlas ? 46_080 : 23_040 }
    }
    const folders = door({ listModels: list, memoryFigures })
    const ran = await prefixd(['models', 'ls', '--long'], { models: folders, environment })
    expect(asked).toBe(1)
    expect(ran.out.match(/45 KiB/g)).toHaveLength(2)
  })

  it('leaves open what a file does not tell', async () => {
    const silent = door({ listModels: list, memoryFigures: async () => null })
    const ran = await prefixd(['models', 'ls', '--long'], { models: silent })
    expect(ran.out).toMatch(/^smollm2-135m +93\.8 MiB +- +- +- +- +- +-$/m)
    const json = await prefixd(['models', 'ls', '--long', '--json'], { models: silent })
    expect(JSON.parse(json.out)[0]).toMatchObject({ name: 'smollm2-135m', memory: null })
  })
})

describe('prefixd models pull', () => {
  const pull: ModelsDoor['pullModel'] = async (_spec, options) => {
    for (const part of [0, 0.04, 0.5, 0.52, 1]) {
      const receivedBytes = Math.round(part * 100) * mebibyte
      options?.onProgress?.({ receivedBytes, totalBytes: 100 * mebibyte })
    }
    options?.onNotice?.('the hub cannot be reached; trying the wheel')
    return { ...stored, wasPresent: false }
  }

  it('shows sparse progress on stderr where there is no terminal', async () => {
    const models = door({ pullModel: pull })
    const ran = await prefixd(['models', 'pull', 'smollm2-135m'], { models })
    expect(ran).toMatchObject({
      exit: 0,
      out:
        `smollm2-135m pulled: 93.8 MiB at ${stored.path}\n` +
        'try    prefixd serve --model smollm2-135m\n',
      err:
        'pulling smollm2-135m  0% of 100 MiB\n' +
        'pulling smollm2-135m  50% of 100 MiB\n' +
        'pulling smollm2-135m  100% of 100 MiB\n' +
        'note   the hub cannot be reached; trying the wheel\n',
    })
  })

  it('draws a bar in place on a terminal, and leaves a whole line', async () => {
    const models = door({ pullModel: pull })
    const ran = await prefixd(['models', 'pull', 'm'], { models, width: 80 })
    const drawn = ran.err.split('\r').map((line) => line.replace('\u001b[K', ''))
    expect(drawn[1]).toBe(`pulling m  ${'░'.repeat(24)}   0%  0 B of 100 MiB`)
    expect(ran.err).toContain(`${'█'.repeat(24)} 100%  100 MiB of 100 MiB`)
    expect(ran.err).toContain('\u001b[K\nnote   the hub')
  })

  it('says when nothing had to be done', async () => {
    const models = door({ pullModel: async () => ({ ...stored, wasPresent: true }) })
    const ran = await prefixd(['models', 'pull', 'smollm2-135m'], { models })
    expect(ran.out).toMatch(/^smollm2-135m is here already: 93\.8 MiB/)
    expect(ran.err).toBe('')
  })

  it('ends as the error says', async () => {
    const models = door({
      pullModel: async () => {
        throw new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', 'There is no model "smol".', {
          next: 'Did you mean smollm2-135m?',
        })
      },
    })
    const ran = await prefixd(['models', 'pull', 'smol'], { models })
    expect(ran).toMatchObject({
      exit: 4,
      out: '',
      err: 'error  There is no model "smol".\ntry    Did you mean smollm2-135m?\n',
    })
  })

  it('happens by itself when serve needs a model that is not here', async () => {
    const asked: unknown[] = []
    const models = door({
      resolveModel: async (spec, { pull: mayPull, onProgress }) => {
        asked.push([spec, mayPull])
        onProgress?.({ receivedBytes: mebibyte, totalBytes: mebibyte })
        throw new PrefixdError('PREFIXD_E_MODEL_PULL', 'No source has it.', { next: 'Go online.' })
      },
    })
    const ran = await prefixd(['serve', '--model', 'smollm2-135m'], { models })
    expect(asked).toEqual([['smollm2-135m', true]])
    expect(ran).toMatchObject({ exit: 1, out: '' })
    expect(ran.err).toBe(
      'pulling smollm2-135m  100% of 1 MiB\nerror  No source has it.\ntry    Go online.\n',
    )
  })
})

describe('prefixd models convert', () => {
  const ready = { state: 'ready' } as ReturnType<EnvironmentDoor['mlxEnvironment']>

  /** Everything that the command asked for, in order. */
  async function convert(words: readonly string[], code?: 'PREFIXD_E_MODEL_CONVERT') {
    const asked: unknown[] = []
    const models = door({
      resolveModel: async (spec, { pull, kind }) => {
        asked.push(['resolve', spec, { pull, kind }])
        if (spec === 'tiny-mlx') throw wrongKind(spec, 'mlx')
        return { ...stored, id: 'tiny', origin: 'store', bringBack: null }
      },
      placeFolder: async ({ id, source, out }, make) => {
        asked.push(['place', { id, source, out }])
        await make('/models/tiny-mlx.partial')
        return { name: out ?? 'tiny-mlx', path: '/models/tiny-mlx', sizeBytes: 90 * mebibyte }
      },
    })
    const environment: Partial<EnvironmentDoor> = {
      mlxEnvironment: () => ready,
      convertGguf: async ({ gguf, folder, dtype, onProgress }) => {
        asked.push(['convert', { gguf, folder, dtype }])
        onProgress({ receivedBytes: mebibyte, totalBytes: mebibyte })
        if (code !== undefined) throw new PrefixdError(code, 'It is a mamba.', { next: 'No.' })
      },
    }
    const ran = await prefixd(['models', 'convert', ...words], { models, environment })
    return { ran, asked }
  }

  it('makes a model for mlx out of a GGUF file, and says how it is served', async () => {
    const { ran, asked } = await convert(['tiny', '--to', 'mlx'])
    expect(asked).toEqual([
      ['resolve', 'tiny', { pull: true, kind: 'gguf' }],
      ['place', { id: 'tiny', source: 'gguf:tiny', out: null }],
      ['convert', { gguf: stored.path, folder: '/models/tiny-mlx.partial', dtype: 'stored' }],
    ])
    expect(ran).toEqual({
      exit: 0,
      out:
        'tiny-mlx converted: 90 MiB at /models/tiny-mlx\n' +
        'try    prefixd serve --engine mlx --model tiny-mlx\n',
      err: 'converting tiny  100% of 1 MiB\n',
      questions: [],
    })
  })

  it('takes another type of the weights and another folder, and prints JSON', async () => {
    const words = ['tiny', '--to', 'mlx', '--dtype', 'float32', '--out', 'here', '--json']
    const { ran, asked } = await convert(words)
    expect(asked[1]).toEqual(['place', { id: 'tiny', source: 'gguf:tiny as float32', out: 'here' }])
    expect(asked[2]).toMatchObject(['convert', { dtype: 'float32' }])
    expect(JSON.parse(ran.out)).toEqual({
      name: 'here',
      path: '/models/tiny-mlx',
      size_bytes: 90 * mebibyte,
      source: 'gguf:tiny as float32',
    })
  })

  it('says of an MLX model that it is one already', async () => {
    const { ran, asked } = await convert(['tiny-mlx', '--to', 'mlx'])
    expect(ran.exit).toBe(4)
    expect(ran.err).toBe(
      'error  The model tiny-mlx is an MLX model already.\n' +
        'try    Serve it: `prefixd serve --engine mlx --model tiny-mlx`.\n',
    )
    expect(asked).toHaveLength(1)
  })

  it('says what Ctrl-C has left of it', async () => {
    const models = door({
      resolveModel: async () => ({ ...stored, id: 'tiny', origin: 'store', bringBack: null }),
      placeFolder: async ({ signal }) => {
        signal.throwIfAborted()
        throw new Error('not interrupted')
      },
    })
    const environment = { mlxEnvironment: () => ready }
    const words = ['models', 'convert', 'tiny', '--to', 'mlx']
    const ran = await prefixd(words, { models, environment, isInterrupted: true })
    expect(ran).toMatchObject({ exit: 130, out: '' })
    expect(ran.err).toContain('stopped, and nothing is left of it; run this again to convert it')
  })

  it('ends as the error says', async () => {
    const { ran } = await convert(['tiny', '--to', 'mlx'], 'PREFIXD_E_MODEL_CONVERT')
    expect(ran).toMatchObject({ exit: 1, out: '' })
    expect(ran.err).toContain('error  It is a mamba.\ntry    No.\n')
  })

  it.each([[['tiny']], [['tiny', '--to', 'onnx']], [['tiny', '--to', 'mlx', '--dtype', 'int3']]])(
    'asks for what it needs: %j',
    async (words) => {
      const { ran, asked } = await convert(words)
      expect(ran.exit).toBe(2)
      expect(asked).toEqual([])
    },
  )
})

describe('prefixd models rm', () => {
  const removed: string[] = []
  const models = door({
    checkRemovable: async () => {},
    removeModel: async (spec) => {
      removed.push(spec)
      return { name: spec, path: stored.path, freedBytes: stored.sizeBytes }
    },
  })

  it('asks first, and deletes after a yes', async () => {
    removed.length = 0
    const ran = await prefixd(['models', 'rm', 'smollm2-135m'], { models, answer: 'yes' })
    expect(ran.questions).toEqual(['Delete smollm2-135m from this disk? [y/N] '])
    expect(ran).toMatchObject({ exit: 0, out: 'deleted smollm2-135m, freed 93.8 MiB\n' })
    expect(removed).toEqual(['smollm2-135m'])
  })

  it('asks nobody where it is refused', async () => {
    const message = 'The model m is used by a running prefixd.'
    const checkRemovable = async (): Promise<void> => {
      throw new PrefixdError('PREFIXD_E_IN_USE', message, { next: 'Stop it first.' })
    }
    const used = door({ checkRemovable })
    const ran = await prefixd(['models', 'rm', 'm'], { models: used, answer: 'y' })
    expect(ran).toMatchObject({ exit: 3, questions: [] })
    expect(ran.err).toContain(message)
  })

  it('deletes nothing without a yes, or where nobody can be asked', async () => {
    removed.length = 0
    const no = await prefixd(['models', 'rm', 'm'], { models, answer: 'n' })
    const nobody = await prefixd(['models', 'rm', 'm'], { models })
    expect(no).toMatchObject({ exit: 0, err: 'nothing was deleted\n' })
    expect(nobody).toMatchObject({ exit: 2, out: '' })
    expect(nobody.err).toContain('try    add --yes to delete without asking')
    expect(removed).toEqual([])
  })
})
