import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { crashFindings, proveCrashes } from '../bench/crash.ts'
import { fakeScene } from '../bench/crash-scenes.ts'

test('a service killed with -9 while it saves loses nothing acknowledged and restores nothing wrong', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'prefixd-crash-'))
  const owned = new Set<() => Promise<void>>()
  onTestFinished(async () => {
    for (const end of owned) await end()
    rmSync(directory, { recursive: true, force: true })
  })
  const own = (end: () => Promise<void>): (() => void) => {
    owned.add(end)
    return () => void owned.delete(end)
  }
  const progress: string[] = []
  const scene = fakeScene({
    kills: 5,
    seed: 3,
    scratch: { directory, own },
    onProgress: (line) => progress.push(line),
  })
  const report = await proveCrashes({ ...scene, promptTokens: [100, 600] })
  const failed = crashFindings('fake engine', report).filter(({ holds }) => !holds)
  expect(failed, progress.join('\n')).toEqual([])
}, 180_000)
