import { describe, expect, it } from 'vitest'
import type { EnvironmentDoor, ModelsDoor } from '../../src/cli/context.ts'
import type { ServiceModule } from '../../src/cli/service.ts'
import { PrefixdError } from '../../src/errors.ts'
import { canBePulled, kindOfEngine } from '../../src/models/index.ts'
import { prefixd } from './run.ts'

type Engines = Awaited<ReturnType<EnvironmentDoor['listEngines']>>
type Findings = Awaited<ReturnType<EnvironmentDoor['examine']>>
type Environment = ReturnType<EnvironmentDoor['mlxEnvironment']>

const dir = '/home/ada/.cache/prefixd/engines/mlx'
const places = {
  ...{ dir, python: `${dir}/bin/python`, record: `${dir}/prefixd.json` },
  ...{ partial: `${dir}.partial`, old: `${dir}.old`, lock: `${dir}.lock` },
  inUse: `${dir}.in-use`,
}
const record = {
  format: 1,
  device: 'cpu',
  ...{ pins: 'aa', version: '0.32.4', python: '3.11.7', installer: 'pip' },
  ...{ installedAtMs: 1_764_000_000_000, sizeBytes: 385_841_478 },
} as const

const engines: Engines = [
  {
    ...{ name: 'llamacpp', state: 'ready', version: 'v0.5.0', device: 'cpu', blas: null },
    path: '/opt/prefixd/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64',
    sizeBytes: 30_356_153,
    note: '@node-llama-cpp/linux-x64 3.22.1',
  },
  {
    ...{ name: 'mlx', state: 'ready', version: '0.32.4', device: 'cpu', path: dir },
    blas: 'openblas 0.3.23.dev SkylakeX',
    sizeBytes: record.sizeBytes,
    note: 'Python 3.11.7',
  },
  {
    ...{ name: 'fake', state: 'ready', version: null, device: 'cpu', blas: null, path: null },
    sizeBytes: null,
    note: 'exact arithmetic without a model',
  },
]
const listEngines = async (): Promise<Engines> => engines

const installing: EnvironmentDoor['installMlx'] = async ({ onProgress, onNotice }) => {
  const totalCount = 41
  onNotice('process 7 is installing the engine already; waiting for it')
  onProgress({ step: 'prepares', label: null, doneCount: 0, totalCount })
  onProgress({ step: 'loads', label: 'numpy 2.4.6 (16.9 MB)', doneCount: 4, totalCount })
  onProgress({ step: 'unpacks', label: null, doneCount: 41, totalCount })
  onProgress({ step: 'checks', label: null, doneCount: 41, totalCount })
  return { places, record, state: 'ready', wasPresent: false }
}

describe('prefixd engines ls', () => {
  for (const width of [80, 120]) {
    it(`shows what computes, and where it lies, within ${width} columns`, async () => {
      const ran = await prefixd(['engines', 'ls'], { environment: { listEngines }, width })
      await expect(ran.out).toMatchFileSnapshot(`golden/engines-ls.${width}.txt`)
      expect(ran).toMatchObject({ exit: 0, err: '' })
    })
  }

  it('prints JSON in the words of the API', async () => {
    const ran = await prefixd(['engines', 'ls', '--json'], { environment: { listEngines } })
    await expect(ran.out).toMatchFileSnapshot('golden/engines-ls.json.txt')
  })
})

describe('prefixd engines install', () => {
  it('says what it does on stderr, and what is there now on stdout', async () => {
    const environment = { installMlx: installing, listEngines }
    const ran = await prefixd(['engines', 'install', 'mlx'], { environment })
    expect(ran.exit).toBe(0)
    expect(ran.err.split('\n')).toEqual([
      'note   process 7 is installing the engine already; waiting for it',
      'installing mlx  makes a Python environment',
      'installing mlx   4 of 41  numpy 2.4.6 (16.9 MB)',
      'installing mlx  unpacks 41 packages, up to a minute',
      'installing mlx  checks that it computes',
      '',
    ])
    expect(ran.out.split('\n')).toEqual([
      `mlx 0.32.4 installed: 368 MiB at ${dir}`,
      'computes on cpu, blas openblas 0.3.23.dev SkylakeX',
      'try    prefixd serve --engine mlx',
      '',
    ])
  })

  it('asks for the packages of a GPU with --cuda, and tells in JSON what it found', async () => {
    const asked: boolean[] = []
    const installMlx: EnvironmentDoor['installMlx'] = async ({ cuda }) => {
      asked.push(cuda)
      return { places, record, state: 'ready', wasPresent: true }
    }
    const environment = { installMlx, listEngines }
    const words = ['engines', 'install', 'mlx', '--cuda', '--json']
    const ran = await prefixd(words, { environment })
    expect(asked).toEqual([true])
    expect(JSON.parse(ran.out)).toMatchObject({ name: 'mlx', was_present: true, path: dir })
  })

  it('ends with 130 when it is interrupted, and says how to go on', async () => {
    const installMlx: EnvironmentDoor['installMlx'] = async ({ signal }) => {
      signal.throwIfAborted()
      throw new Error('not interrupted')
    }
    const ran = await prefixd(['engines', 'install', 'mlx', '--cuda'], {
      environment: { installMlx },
      isInterrupted: true,
    })
    expect(ran).toMatchObject({ exit: 130, out: '' })
    expect(ran.err).toBe(
      'stopped, and nothing is left of it; once more: prefixd engines install mlx --cuda\n\n',
    )
  })

  it.each(['llamacpp', 'vllm'])('refuses %s, which nobody installs', async (name) => {
    const ran = await prefixd(['engines', 'install', name])
    expect(ran.exit).toBe(2)
    expect(ran.err).toContain(`"${name}" cannot be installed: the only engine that is installed`)
  })
})

describe('prefixd engines rm', () => {
  const removeMlx: EnvironmentDoor['removeMlx'] = async () => ({ path: dir, freedBytes: 1024 ** 2 })

  const checkMlxRemovable = async (): Promise<void> => {}

  it('asks nobody where it is refused', async () => {
    const refuse = async (): Promise<void> => {
      throw new PrefixdError('PREFIXD_E_IN_USE', 'It is used.', { next: 'Stop it first.' })
    }
    const options = { environment: { removeMlx, checkMlxRemovable: refuse }, answer: 'y' }
    const ran = await prefixd(['engines', 'rm', 'mlx'], options)
    expect(ran).toMatchObject({ exit: 3, out: '', questions: [] })
    expect(ran.err).toContain('It is used.')
  })

  it('asks, and says what it freed', async () => {
    const options = { environment: { removeMlx, checkMlxRemovable }, answer: 'y' }
    const ran = await prefixd(['engines', 'rm', 'mlx'], options)
    expect(ran).toMatchObject({ exit: 0, out: 'deleted mlx, freed 1 MiB\n' })
    expect(ran.questions).toHaveLength(1)
  })

  it('deletes nothing without a yes', async () => {
    const environment = { checkMlxRemovable }
    const no = await prefixd(['engines', 'rm', 'mlx'], { environment, answer: '' })
    expect(no).toMatchObject({ exit: 0, out: '', err: 'nothing was deleted\n' })
    const nobody = await prefixd(['engines', 'rm', 'mlx'], { environment })
    expect(nobody).toMatchObject({ exit: 2, out: '' })
    expect(nobody.err).toContain('add --yes')
  })
})

describe('prefixd doctor', () => {
  const findings: Findings = [
    { name: 'node', state: 'ok', found: '24.21.0', next: null },
    {
      name: 'python',
      state: 'warn',
      found: 'there is none',
      next: 'Install Python 3.11 or newer.',
    },
  ]

  it('has a line for each thing, and what to do where something is wrong', async () => {
    const ran = await prefixd(['doctor'], { environment: { examine: async () => findings } })
    expect(ran.out.split('\n')).toEqual([
      'ok    node    24.21.0',
      'warn  python  there is none',
      '              → Install Python 3.11 or newer.',
      '',
    ])
    expect(ran).toMatchObject({ exit: 0, err: '' })
  })

  it('ends with 1 when prefixd cannot run, after all lines', async () => {
    const broken = { name: 'memory', state: 'fail', found: '1 GiB', next: 'Ask for less.' } as const
    const examine = async () => [...findings, broken]
    const ran = await prefixd(['doctor', '--json'], { environment: { examine } })
    expect(JSON.parse(ran.out)).toEqual({ findings: [...findings, broken] })
    expect(ran.exit).toBe(1)
    expect(ran.err).toContain('prefixd cannot run here: memory')
  })
})

describe('prefixd serve --engine mlx', () => {
  const missing: Environment = { places, state: 'missing' }
  const why = 'it has mlx 0.31.0, and this version of prefixd was tested with 0.32.4'
  const stale: Environment = { places, state: 'stale', why, record: { ...record, device: 'cuda' } }

  /** A service that cannot start tells that it was asked to: everything before it was done. */
  async function serve(
    environment: Environment,
    words: string[],
    answer?: string,
    resolveModel: ModelsDoor['resolveModel'] = async () =>
      ({ id: 'm', path: '/m', digest: null, sizeBytes: 1 }) as never,
  ) {
    const installed: { cuda: boolean }[] = []
    const door: Partial<EnvironmentDoor> = {
      mlxEnvironment: () => environment,
      installMlx: async (options) => {
        installed.push({ cuda: options.cuda })
        return installing(options)
      },
    }
    const service: Pick<ServiceModule, 'serve'> = {
      serve: async () => {
        throw new PrefixdError('PREFIXD_E_PORT_IN_USE', 'it was started')
      },
    }
    const refuse = async () => {
      throw new Error('not expected in this test')
    }
    const models = {
      ...{ listModels: refuse, memoryFigures: refuse, pullModel: refuse, removeModel: refuse },
      ...{ canBePulled, checkRemovable: refuse, kindOfEngine, placeFolder: refuse, resolveModel },
    }
    const options = { environment: door, service, models }
    const ran = await prefixd(
      ['serve', ...(words.includes('--engine') ? [] : ['--engine', 'mlx']), ...words],
      answer === undefined ? options : { ...options, answer },
    )
    return { ran, installed }
  }

  it('starts with what is installed, and asks nothing', async () => {
    const { ran, installed } = await serve({ places, state: 'ready', record }, [])
    expect(ran.err).toContain('it was started')
    expect({ installed, questions: ran.questions }).toEqual({ installed: [], questions: [] })
  })

  it.each(['', 'y', 'yes'])('installs what is missing when somebody says "%s"', async (answer) => {
    const { ran, installed } = await serve(missing, [], answer)
    expect(ran.questions).toEqual([
      'The MLX engine is not installed. Install it now, about 80 MB? [Y/n] ',
    ])
    expect(installed).toEqual([{ cuda: false }])
    expect(ran.err).toContain('it was started')
  })

  it.each([[undefined], ['n']])('says what to run when the answer is %s', async (answer) => {
    const { ran, installed } = await serve(missing, [], answer)
    expect(installed).toEqual([])
    expect(ran.exit).toBe(1)
    expect(ran.err).toContain('error  The MLX engine is not installed.')
    expect(ran.err).toContain('try    prefixd engines install mlx (or --yes)')
  })

  it('says what is wrong with settings and models before it asks to install', async () => {
    const settings = await serve(missing, ['--kv-type', 'q5_0'], 'y')
    expect(settings.ran.err).toContain('kv-type is q5_0; with the engine mlx it is f16')
    const refused: ModelsDoor['resolveModel'] = async () => {
      throw new PrefixdError('PREFIXD_E_MODEL_KIND', 'it is a GGUF file')
    }
    const kind = await serve(missing, ['--model', './a.gguf'], 'y', refused)
    expect(kind.ran.err).toContain('it is a GGUF file')
    for (const { ran, installed } of [settings, kind]) {
      expect({ installed, questions: ran.questions }).toEqual({ installed: [], questions: [] })
    }
  })

  it('says the settings also of a folder that decides for mlx itself', async () => {
    const folder: ModelsDoor['resolveModel'] = async () => ({ kind: 'mlx' }) as never
    const words = ['--engine', 'auto', '--rope-scaling', 'yarn']
    const { ran, installed } = await serve(missing, words, 'y', folder)
    expect(ran.err).toContain('rope-scaling is yarn, which the engine mlx does not have')
    expect({ installed, questions: ran.questions }).toEqual({ installed: [], questions: [] })
  })

  it('asks first and pulls then, where a model can come here', async () => {
    const pulls: boolean[] = []
    const resolveModel: ModelsDoor['resolveModel'] = async (_, { pull }) => {
      pulls.push(pull)
      if (!pull) throw new PrefixdError('PREFIXD_E_MODEL_NOT_FOUND', 'not on this disk yet')
      return { kind: 'mlx' } as never
    }
    const hub = await serve(missing, ['--model', 'hf:owner/repo'], 'n', resolveModel)
    expect(hub.ran.questions).toHaveLength(1)
    const path = await serve(missing, ['--model', './nowhere'], 'y', resolveModel)
    expect(path.ran.err).toContain('not on this disk yet')
    expect(path.ran.questions).toEqual([])
    expect(pulls).toEqual([false, false])
  })

  it('installs without asking with --yes, for the device that was there', async () => {
    const { ran, installed } = await serve(stale, ['--yes'])
    expect(installed).toEqual([{ cuda: true }])
    expect(ran.questions).toEqual([])
    expect(ran.err).toContain('it was started')
  })

  it('says why what is there cannot be used', async () => {
    const { ran } = await serve(stale, [])
    expect(ran.err).toContain(`The MLX engine is out of date: ${why}.`)
    expect(ran.err).toContain('prefixd engines install mlx --cuda')
  })
})
