import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { settingList } from '../../src/config/schema.ts'
import { prefixd } from './run.ts'

/** Defaults that differ between machines. */
const env = { PREFIXD_RAM: '2GiB', PREFIXD_THREADS: '3' }
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prefixd-cli-'))
})
afterEach(() => rm(folder, { recursive: true }))

for (const width of [80, 120]) {
  it(`shows every setting and its origin within ${width} columns`, async () => {
    const ran = await prefixd(['config', '--port', '9000'], { env, width })
    await expect(ran.out).toMatchFileSnapshot(`golden/config.${width}.txt`)
    expect(ran).toMatchObject({ exit: 0, err: '' })
  })
}

it('takes a flag of a list several times, or once with commas', async () => {
  const modelOf = async (words: readonly string[]) => {
    const { out } = await prefixd(['config', ...words, '--json'], { env })
    return JSON.parse(out).settings.model
  }
  const both = { value: ['a', '/home/ada/work/b.gguf'], origin: 'flag --model' }
  expect(await modelOf(['--model', 'a', '--model', './b.gguf'])).toMatchObject(both)
  expect(await modelOf(['--model', 'a,./b.gguf'])).toMatchObject(both)
  expect(await modelOf([])).toMatchObject({ value: ['smollm2-135m'], origin: 'default' })
})

it('names a switch as it was given', async () => {
  const originOf = async (word: string) => {
    const { out } = await prefixd(['config', word, '--json'], { env })
    return JSON.parse(out).settings.prefetch.origin
  }
  expect(await originOf('--prefetch')).toBe('flag --prefetch')
  expect(await originOf('--no-prefetch')).toBe('flag --no-prefetch')
})

it('names the file, and the variable or flag that overrides it', async () => {
  const file = join(folder, 'prefixd.toml')
  await writeFile(file, 'port = 9001\nssd = "50GiB"\nctx = 4096\n')
  const words = ['config', '--config', file, '--ctx', '2048', '--json']
  const ran = await prefixd(words, { env: { ...env, PREFIXD_SSD: '0' } })
  const { settings, file: read } = JSON.parse(ran.out)
  expect(read).toBe(file)
  expect(Object.keys(settings)).toEqual(settingList.map(([, { key }]) => key))
  expect(settings).toMatchObject({
    port: { value: 9001, origin: `file ${file}: port`, env: 'PREFIXD_PORT' },
    ssd: { value: 0, origin: 'env PREFIXD_SSD', env: 'PREFIXD_SSD' },
    ctx: { value: 2048, origin: 'flag --ctx', env: 'PREFIXD_CTX' },
    host: { value: '127.0.0.1', origin: 'default', env: 'PREFIXD_HOST' },
  })
})

it('says what is wrong with a file that cannot be used', async () => {
  const file = join(folder, 'prefixd.toml')
  await writeFile(file, 'prot = 9001\n')
  const ran = await prefixd(['config', '--config', file])
  expect(ran).toMatchObject({ exit: 2, out: '' })
  expect(ran.err).toContain(`prot in ${file} is not a setting`)
  expect(ran.err).toContain('try    Did you mean port?')
})
