import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { closestNames } from '../../src/config/closest-name.ts'
import { cacheHome, configHome, modelsDir } from '../../src/config/paths.ts'
import { formatSize, parseSize } from '../../src/config/sizes.ts'

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['1048576', 1024 ** 2],
    ['8GiB', 8 * 1024 ** 3],
    ['8g', 8 * 1024 ** 3],
    ['500MB', 500_000_000],
    [' 1.5 KiB ', 1536],
  ])('reads %j', (text, sizeBytes) => expect(parseSize(text)).toBe(sizeBytes))

  it.each(['', 'GiB', '-1', '1e9', '8GiBB', '0x10', '99999999TiB', '1,5GB', '.5GB'])(
    'does not read %j',
    (text) => expect(parseSize(text)).toBeNull(),
  )

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [98_362_432, '93.8 MiB'],
    [1024 ** 3 * 1.5, '1.50 GiB'],
    [1024 ** 2 - 1, '1 MiB'],
  ])('writes %i', (sizeBytes, text) => expect(formatSize(sizeBytes)).toBe(text))

  it('writes what it can read again, to three digits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 49 }), (sizeBytes) => {
        const again = parseSize(formatSize(sizeBytes)) ?? Number.NaN
        expect(Math.abs(again - sizeBytes) / sizeBytes).toBeLessThan(0.006)
      }),
    )
  })
})

describe('close names', () => {
  const names = ['port', 'host', 'block-tokens', 'log-level', 'smollm2-135m']
  it('are a slip or a part away', () => {
    expect(closestNames('prot', names)).toEqual(['port'])
    expect(closestNames('tokens', names)).toEqual(['block-tokens'])
    expect(closestNames('SmolLM2', names)).toEqual(['smollm2-135m'])
    expect(closestNames('smolm2', names)).toEqual(['smollm2-135m'])
    expect(closestNames('temperature', names)).toEqual([])
  })
})

describe('folders', () => {
  const at = (platform: NodeJS.Platform, env: Record<string, string> = {}) => ({
    env,
    home: '/home/u',
    platform,
    workingDir: '/w',
  })
  it('are the ones that the platform has for this', () => {
    expect(cacheHome(at('linux'))).toBe('/home/u/.cache')
    expect(cacheHome(at('darwin'))).toBe('/home/u/Library/Caches')
    expect(configHome(at('darwin'))).toBe('/home/u/Library/Application Support')
    expect(configHome(at('linux', { XDG_CONFIG_HOME: '/x' }))).toBe('/x')
  })
  it('keep models apart from the data, or where PREFIXD_MODELS_DIR says', () => {
    expect(modelsDir(at('linux', { XDG_CACHE_HOME: '/x' }))).toBe('/x/prefixd/models')
    expect(modelsDir(at('linux', { PREFIXD_MODELS_DIR: '~/m' }))).toBe('/home/u/m')
    expect(modelsDir(at('linux', { PREFIXD_MODELS_DIR: 'm' }))).toBe('/w/m')
  })
})
