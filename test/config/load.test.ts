import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LoadOptions, loadConfig } from '../../src/config/load.ts'
import type { Surroundings } from '../../src/config/paths.ts'
import { PrefixdError } from '../../src/errors.ts'

const gibibyte = 1024 ** 3
let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prefixd-config-'))
})
afterEach(() => rmSync(home, { recursive: true }))

const around = (env: Record<string, string> = {}): Surroundings => ({
  env,
  home,
  platform: 'linux',
  workingDir: join(home, 'work'),
})
const machine = { memoryBytes: 16 * gibibyte, cpuCount: 8 }

function load(options: LoadOptions & { env?: Record<string, string> } = {}) {
  return loadConfig({ machine, around: around(options.env), ...options })
}

function writeConfig(text: string, path = join(home, '.config', 'prefixd', 'config.toml')): string {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
  return path
}

function refusal(options: LoadOptions & { env?: Record<string, string> }): PrefixdError {
  try {
    load(options)
  } catch (error) {
    expect(error).toBeInstanceOf(PrefixdError)
    expect((error as PrefixdError).code).toBe('PREFIXD_E_CONFIG')
    expect((error as PrefixdError).next).toBeTruthy()
    return error as PrefixdError
  }
  throw new Error('the configuration was accepted')
}

describe('the configuration', () => {
  it('has a default for everything, made from the machine', () => {
    const { config, origins, file } = load()
    expect(config).toEqual({
      models: ['smollm2-135m'],
      engine: 'auto',
      host: '127.0.0.1',
      port: 8787,
      dir: join(home, '.cache', 'prefixd', 'data'),
      ramBytes: 4 * gibibyte,
      ssdBytes: 20 * gibibyte,
      ssdWritesPerDayBytes: 0,
      shares: [],
      blockTokens: 256,
      boundaryTokens: 1024,
      reuse: 'token',
      contextTokens: 'auto',
      sequences: 'auto',
      ropeScaling: 'none',
      kvType: 'f16',
      flashAttention: 'on',
      lora: [],
      maxAnswerTokens: 0,
      threads: 7,
      queuedRequests: 64,
      reasoningField: 'reasoning_content',
      save: true,
      keepText: false,
      encryptKeyFile: null,
      prefetch: true,
      eviction: 'retention',
      recordFile: null,
      libraryDir: null,
      apiKeysFile: null,
      hygiene: ['claude-code-billing'],
      insecure: false,
      logLevel: 'info',
    })
    expect(new Set(Object.values(origins))).toEqual(new Set(['default']))
    expect(file).toBeNull()
  })

  it('takes a quarter of the memory within 256 MiB and 8 GiB, and leaves one core free', () => {
    const of = (memoryBytes: number, cpuCount: number) =>
      load({ machine: { memoryBytes, cpuCount } }).config
    expect(of(gibibyte / 2, 1)).toMatchObject({ ramBytes: gibibyte / 4, threads: 1 })
    expect(of(512 * gibibyte, 4)).toMatchObject({ ramBytes: 8 * gibibyte, threads: 3 })
  })

  it('lets flags win over the environment, that over the file, and that over defaults', () => {
    const path = writeConfig('port = 1111\nram = "1GiB"\nssd = 0\nsave = false\n')
    const { config, origins, file } = load({
      env: { PREFIXD_PORT: '2222', PREFIXD_RAM: '2GiB' },
      flags: { port: '3333', model: undefined },
    })
    expect(config).toMatchObject({ port: 3333, ramBytes: 2 * gibibyte, ssdBytes: 0, save: false })
    expect(origins).toMatchObject({
      port: 'flag --port',
      ramBytes: 'env PREFIXD_RAM',
      ssdBytes: `file ${path}: ssd`,
      models: 'default',
    })
    expect(file).toBe(path)
  })

  it('reads the file of --config, or else of PREFIXD_CONFIG, in place of the usual one', () => {
    writeConfig('port = 1')
    writeConfig('port = 2', join(home, 'env.toml'))
    writeConfig('port = 3', join(home, 'work', 'flag.toml'))
    const env = { PREFIXD_CONFIG: '~/env.toml' }
    expect(load({ env }).config.port).toBe(2)
    expect(load({ env, configFile: 'flag.toml' }).config.port).toBe(3)
  })

  it('starts relative paths where they were written', () => {
    writeConfig('dir = "data"\nmodel = "./weights.gguf"\nlibrary-dir = "~/llama"')
    const folder = join(home, '.config', 'prefixd')
    expect(load().config).toMatchObject({
      dir: join(folder, 'data'),
      models: [join(folder, 'weights.gguf')],
      libraryDir: join(home, 'llama'),
    })
    expect(load({ flags: { dir: 'd', model: 'qwen3-0.6b' } }).config).toMatchObject({
      dir: join(home, 'work', 'd'),
      models: ['qwen3-0.6b'],
    })
  })

  it('takes several models from every place, the first one first', () => {
    writeConfig('model = ["./a,b.gguf", "qwen3-0.6b"]')
    const file = join(home, '.config', 'prefixd', 'a,b.gguf')
    expect(load().config.models).toEqual([file, 'qwen3-0.6b'])
    const env = { PREFIXD_MODEL: 'x, ~/y.gguf' }
    expect(load({ env }).config.models).toEqual(['x', join(home, 'y.gguf')])
    expect(load({ env, flags: { model: 'z' } }).config.models).toEqual(['z'])
  })

  it('counts an empty variable as unset and ignores a relative XDG folder', () => {
    const env = { PREFIXD_PORT: '', PREFIXD_CONFIG: '', XDG_CACHE_HOME: 'cache' }
    expect(load({ env }).config).toMatchObject({
      port: 8787,
      dir: join(home, '.cache', 'prefixd', 'data'),
    })
  })

  it.each([
    ['true', true],
    ['1', true],
    ['Yes', true],
    ['off', false],
    ['0', false],
  ])('reads the switch %s from the environment', (written, meant) => {
    expect(load({ env: { PREFIXD_INSECURE: written } }).config.insecure).toBe(meant)
  })
})

describe('a wrong configuration', () => {
  it('names an unknown key, its file and the closest setting', () => {
    const path = writeConfig('block_tokens = 256')
    const error = refusal({})
    expect(error.message).toContain(`block_tokens in ${path} is not a setting`)
    expect(error.next).toBe('Did you mean block-tokens?')
  })

  it('refuses an unknown flag and a table', () => {
    expect(refusal({ flags: { prot: '1' } }).next).toBe('Did you mean port?')
    writeConfig('[cache]\nram = 1')
    expect(refusal({}).message).toContain('cache in')
  })

  it.each<[string, string, unknown]>([
    ['port', 'a whole number from 0 to 65535', 65_536],
    ['port', 'a whole number', '80a'],
    ['block-tokens', 'a multiple of 16', '100'],
    ['ram', 'at least 64MiB', '1KiB'],
    ['ram', 'like 8GiB', '8 gigs'],
    ['ssd', '0 for no SSD tier', '-1'],
    ['engine', 'one of auto, llamacpp, mlx, fake', 'vllm'],
    ['save', 'true or false', 'maybe'],
    ['host', 'a host name', ' '],
    ['threads', 'a whole number from 1', 0],
  ])('names %s and says that it must be %s', (key, allowed, value) => {
    const error = refusal({ flags: { [key]: value as string } })
    expect(error.field).toBe(key)
    expect(error.message).toContain(allowed)
    expect(error.message).toContain(`flag --${key}`)
  })

  it.each([
    'port = "80"\nram = true',
    'port = 80.5',
    'port = [80]',
    'ram = 1979-05-27',
    'model = 7',
    'model = []',
    'model = ["a", ""]',
  ])('refuses the wrong type in %j', (text) => {
    const path = writeConfig(text)
    expect(refusal({}).message).toContain(`(file ${path}: `)
  })

  it('points at the line of a TOML mistake', () => {
    const path = writeConfig('port = 1\nram = \n')
    expect(refusal({}).message).toContain(`${path}:2:`)
  })

  it('refuses a named file that is not there, and a folder in place of the usual one', () => {
    expect(refusal({ configFile: 'no.toml' }).message).toContain(join(home, 'work', 'no.toml'))
    mkdirSync(join(home, '.config', 'prefixd', 'config.toml'), { recursive: true })
    expect(refusal({}).message).toContain('EISDIR')
  })

  it('reads names as a list or with commas, and none as the empty list', () => {
    const hygiene = (raw: string) => load({ flags: { hygiene: raw } }).config.hygiene
    expect(hygiene('claude-code-billing')).toEqual(['claude-code-billing'])
    expect(hygiene('claude-code-billing, claude-code-billing')).toHaveLength(1)
    expect(hygiene('none')).toEqual([])
    writeConfig('hygiene = []')
    expect(load().config.hygiene).toEqual([])
    writeConfig('hygiene = ["claude-code-billing"]')
    expect(load().config.hygiene).toEqual(['claude-code-billing'])
    for (const raw of ['other', 'claude-code-billing,', 'none,claude-code-billing', ' ']) {
      expect(refusal({ flags: { hygiene: raw } }).message).toContain('some of claude-code-billing')
    }
  })

  it('refuses shares of nothing, and two of one name, wherever they were written', () => {
    const nothing = refusal({ flags: { share: 'model:a=0%' } })
    expect(nothing.message).toContain('above 0')
    expect(nothing.message).toContain('it is "model:a=0%" (flag --share)')
    const twice = refusal({ env: { PREFIXD_SHARE: 'tenant:a=1GiB,model:a=5%,tenant:a=10%' } })
    expect(twice.message).toBe(
      'share must have each name once; tenant:a has two shares (env PREFIXD_SHARE).',
    )
    expect([twice.field, nothing.field]).toEqual(['share', 'share'])
    expect(load({ flags: { share: 'tenant:a=1GiB,model:a=5%' } }).config.shares).toHaveLength(2)
  })

  it('refuses to listen where others can reach it unless told so', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.7', 'example.org']) {
      expect(refusal({ flags: { host } }).field).toBe('host')
      expect(load({ flags: { host, insecure: true } }).config.host).toBe(host)
      expect(load({ flags: { host, 'api-keys': '/keys' } }).config.host).toBe(host)
    }
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', '[::1]', 'localhost']) {
      expect(load({ flags: { host } }).config.host).toBe(host)
    }
  })
})
