import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'

import { createArena } from '../../cache/tiers/arena.ts'
import type { Extent } from '../../cache/types.ts'

const KiB = 1024
const MiB = 1024 * KiB

async function all(slices: AsyncIterable<number>): Promise<number[]> {
  const found: number[] = []
  for await (const bytes of slices) found.push(bytes)
  return found
}

describe.each([
  { name: 'a shared arena', shared: true },
  { name: 'a private arena', shared: false },
])('$name', ({ shared }) => {
  test('gives extents at multiples of the granule and accounts for every byte', () => {
    const arena = createArena({ sizeBytes: MiB, shared })
    const first = arena.allocate(1) as Extent
    const second = arena.allocate(64 * KiB + 1) as Extent
    expect(first).toMatchObject({ offset: 0, sizeBytes: 1 })
    expect(second).toMatchObject({ offset: 64 * KiB, sizeBytes: 64 * KiB + 1 })
    expect(arena.usedBytes).toBe(3 * 64 * KiB)
    expect(arena.allocatedBytes(64 * KiB + 1)).toBe(128 * KiB)
    expect(arena.largestFreeBytes).toBe(MiB - 3 * 64 * KiB)
    arena.free(first)
    expect(arena.usedBytes).toBe(2 * 64 * KiB)
    arena.free(second)
    expect(arena.largestFreeBytes).toBe(MiB)
    arena.close()
  })

  test('answers null, and changes nothing, when no piece is long enough', () => {
    const arena = createArena({ sizeBytes: MiB, shared })
    expect(arena.allocate(MiB + 1)).toBeNull()
    expect(arena.usedBytes).toBe(0)
    arena.close()
  })

  test('an extent is current until it is freed, and its successor has another generation', () => {
    const arena = createArena({ sizeBytes: 64 * KiB, shared })
    const first = arena.allocate(10) as Extent
    expect(arena.isCurrent(first)).toBe(true)
    arena.free(first)
    expect(arena.isCurrent(first)).toBe(false)
    const second = arena.allocate(10) as Extent
    expect(second.offset).toBe(first.offset)
    expect(arena.isCurrent(first)).toBe(false)
    expect(arena.isCurrent(second)).toBe(true)
    expect(() => arena.free(first)).toThrow('not owned')
    arena.close()
  })

  test('views are the memory itself, not copies', () => {
    const arena = createArena({ sizeBytes: MiB, shared })
    arena.view(64 * KiB, 16)[3] = 7
    expect(arena.view(64 * KiB + 3, 1)[0]).toBe(7)
    expect(() => arena.view(MiB - 1, 2)).toThrow(RangeError)
    arena.close()
  })

  test('warming up changes no byte, not even those written while it runs', async () => {
    const arena = createArena({ sizeBytes: 40 * MiB, shared })
    const bytes = arena.view(0, arena.sizeBytes)
    bytes.fill(9, 0, MiB)
    const warm = all(arena.warmUp())
    bytes.fill(5, 39 * MiB)
    expect((await warm).at(-1)).toBe(arena.sizeBytes)
    expect(bytes.subarray(0, MiB).every((byte) => byte === 9)).toBe(true)
    expect(bytes.subarray(39 * MiB).every((byte) => byte === 5)).toBe(true)
    arena.close()
  })

  test('closing stops the warm-up; views that are held stay readable', async () => {
    const arena = createArena({ sizeBytes: 64 * MiB, shared })
    const view = arena.view(0, 4)
    view.set([1, 2, 3, 4])
    const warm = all(arena.warmUp())
    arena.close()
    arena.close()
    await warm
    expect([...view]).toEqual([1, 2, 3, 4])
    expect(arena.fd).toBeNull()
    expect(() => arena.view(0, 1)).toThrow('closed')
    expect(() => arena.allocate(1)).toThrow('closed')
  })

  test('an aborted warm-up ends without an error', async () => {
    const arena = createArena({ sizeBytes: 64 * MiB, shared })
    expect(await all(arena.warmUp(AbortSignal.abort()))).toEqual([])
    arena.close()
  })

  test.each([0, 64 * KiB - 1, Number.NaN, totalmem() + MiB])(
    '%d bytes are refused',
    (sizeBytes) => {
      expect(() => createArena({ sizeBytes, shared })).toThrow(
        expect.objectContaining({
          code: 'PREFIXD_E_CACHE_ARENA',
          message: expect.stringContaining('--ram'),
        }),
      )
    },
  )
})

test('a private arena has nothing to pass on', () => {
  const arena = createArena({ sizeBytes: MiB, shared: false })
  expect(arena.fd).toBeNull()
  arena.close()
})

test('a child maps the inherited descriptor, and both sides see what the other writes', async () => {
  const arena = createArena({ sizeBytes: 2 * MiB, shared: true })
  arena.view(MiB, 5).set(Buffer.from('hello'))
  const script = fileURLToPath(new URL('../support/arena-child.ts', import.meta.url))
  const child = spawn(process.execPath, [script, `${2 * MiB}`, `${MiB}`], {
    stdio: ['ignore', 'pipe', 'inherit', arena.fd as number],
  })
  let seen = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
  })
  const exitCode = await new Promise((resolve) => child.on('close', resolve))
  expect(exitCode).toBe(0)
  expect(seen).toBe('hello')
  expect(Buffer.from(arena.view(MiB, 5)).toString()).toBe('WORLD')
  arena.close()
})

test.runIf(process.platform === 'linux')(
  'nobody can shrink the memory under the others',
  async () => {
    const { ftruncateSync } = await import('node:fs')
    const arena = createArena({ sizeBytes: MiB, shared: true })
    expect(() => ftruncateSync(arena.fd as number, 0)).toThrow('EPERM')
    arena.close()
  },
)

test.runIf(process.platform === 'linux')(
  'the memory goes back to the system once it is closed and no view is left',
  async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const mapped = () => readFileSync('/proc/self/maps', 'utf8').split('prefixd-arena').length - 1
    collectGarbage()
    const before = mapped()
    const arena = createArena({ sizeBytes: MiB, shared: true })
    expect(mapped()).toBeGreaterThan(0)
    arena.close()
    for (let turn = 0; turn < 50 && mapped() > 0; turn++) {
      collectGarbage()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(mapped()).toBeLessThanOrEqual(before)
  },
)
