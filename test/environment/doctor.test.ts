import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { examine, type Finding } from '../../src/environment/doctor.ts'

const mebibyte = 1024 ** 2

let home: string
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'prefixd-doctor-'))
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

interface Asked {
  readonly ramBytes?: number
  readonly ssdBytes?: number
  readonly probeSharedMemory?: () => Promise<void>
}

async function findings(asked: Asked = {}): Promise<ReadonlyMap<string, Finding>> {
  const { ramBytes = 64 * mebibyte, ssdBytes = 64 * mebibyte } = asked
  const { probeSharedMemory = async () => {} } = asked
  const env = { PATH: home, PREFIXD_ENGINES_DIR: join(home, 'engines') }
  const around = { env, home, platform: process.platform, workingDir: home }
  const config = { dir: join(home, 'not', 'there', 'yet'), ramBytes, ssdBytes }
  const { signal } = new AbortController()
  const list = await examine(config, around, { signal, probeSharedMemory })
  return new Map(list.map((finding) => [finding.name, finding]))
}

describe('the look at a machine', () => {
  it('has a finding for everything, in the order in which it is needed', async () => {
    const names = ['node', 'llamacpp', 'mlx', 'python', 'memory', 'shared memory', 'disk']
    expect([...(await findings()).keys()]).toEqual(names)
  })

  it('takes an engine that nobody has installed for no fault, and says how to get it', async () => {
    const mlx = (await findings()).get('mlx')
    expect(mlx).toMatchObject({ state: 'ok', next: null })
    expect(mlx?.found).toMatch(/^not (installed; prefixd engines install mlx|for this machine: )/)
  })

  it('looks at the disk of the nearest folder that exists', async () => {
    expect((await findings()).get('disk')?.found).toMatch(
      / free in .*not\/there\/yet; the SSD tier/,
    )
  })

  it('warns of a disk that holds less than the SSD tier may take', async () => {
    const disk = (await findings({ ssdBytes: 1024 ** 5 })).get('disk')
    expect(disk).toMatchObject({ state: 'warn', next: expect.stringContaining('--ssd') })
  })

  it('counts what the tier has of the disk already', async () => {
    const folder = join(home, 'not', 'there', 'yet')
    mkdirSync(folder, { recursive: true })
    const slab = join(folder, 'spill.slab')
    writeFileSync(slab, '')
    // A hole: it takes nothing of the disk.
    truncateSync(slab, 1024 ** 4)
    const disk = (await findings({ ssdBytes: 1024 ** 4 })).get('disk')
    rmSync(folder, { recursive: true })
    expect(disk).toMatchObject({ state: 'ok' })
  })

  it('fails for a RAM tier that is larger than the machine', async () => {
    const memory = (await findings({ ramBytes: 1024 ** 5 })).get('memory')
    expect(memory).toMatchObject({ state: 'fail', next: expect.stringContaining('--ram') })
  })

  it('fails where memory cannot be shared, in the words of whoever tried', async () => {
    const probeSharedMemory = () => Promise.reject(new Error('memfd_create: EPERM'))
    const shared = (await findings({ probeSharedMemory })).get('shared memory')
    expect(shared).toMatchObject({ state: 'fail', found: 'memfd_create: EPERM' })
  })
})
