import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { complete, completeCold } from '../../bench/completions-client.ts'
import { limits } from '../../src/config/limits.ts'
import { createServiceFolder, fakeFlags, fakeTokens } from '../support/start-service.ts'

const mebibyte = 1024 ** 2
const floorMiB = limits.freeDiskFloorBytes / mebibyte
const isMounted = (words: readonly string[]): boolean => spawnSync('mount', words).status === 0

/** A disk of this size, in memory; null where this user may not mount one. */
function mountDisk(sizeMiB: number): string | null {
  const path = mkdtempSync(join(tmpdir(), 'prefixd-disk-'))
  if (!isMounted(['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', path])) {
    rmdirSync(path)
    return null
  }
  return path
}

/** Also while a process that was killed is still on its way out. */
function unmount(path: string): void {
  spawnSync('umount', ['-l', path])
  rmdirSync(path)
}

const canMount = ((): boolean => {
  const path = process.platform === 'linux' ? mountDisk(1) : null
  if (path !== null) unmount(path)
  return path !== null
})()

/** One record takes a slot of 1 MiB. */
const fake = { bytesPerToken: 4080 }
const request = (start: number) => ({ tokens: fakeTokens(start, 12 * 256), answerTokens: 8 })

// Elsewhere test/cache makes the same faults below the service.
test.skipIf(!canMount)(
  'a disk that is full costs saves only, and takes them when it has room',
  async () => {
    const disk = mountDisk(floorMiB + 6) as string
    onTestFinished(() => unmount(disk))
    const folder = createServiceFolder(disk)
    const service = await folder.start(fakeFlags, fake)
    const first = await complete(service.url, request(1))
    // Some blocks fit, the rest did not, and nobody was told that they are safe.
    expect(first.savedTokens).toBeLessThan(12 * 256)
    expect(first.savedTokens).toBeGreaterThan(0)
    expect(await service.get('/v1/cache/stats')).toMatchObject({ requests: { failed: 0 } })
    expect(service.lines.join('\n')).toMatch(/warn: the SSD tier has no room for some blocks/)
    expect(await complete(service.url, request(1))).toMatchObject({
      text: first.text,
      cachedTokens: 12 * 256 - 1,
      tier: 'ram',
    })

    await service.kill()
    const restarted = await folder.start(fakeFlags, fake)
    const again = await complete(restarted.url, request(1))
    expect(again.cachedTokens).toBeGreaterThanOrEqual(first.savedTokens)
    expect(again.text).toBe(first.text)

    expect(isMounted(['-o', `remount,size=${floorMiB + 100}m`, disk])).toBe(true)
    expect((await complete(restarted.url, request(2))).savedTokens).toBe(12 * 256 + 7)
    expect((await completeCold(restarted.url, request(1))).text).toBe(first.text)
  },
)
