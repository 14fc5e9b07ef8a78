import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { killAgainAndAgain, killFindings } from '../bench/crash/kills.ts'
import { fakeScene } from '../bench/crash/scenes.ts'
import { crashFindings, proveCrashes } from '../bench/crash/services.ts'
import { createRandom } from '../bench/random.ts'
import type { Scratch } from '../bench/scratch-folder.ts'

function makeScratch(): Scratch {
  const directory = mkdtempSync(join(tmpdir(), 'prefixd-crash-'))
  const owned = new Set<() => Promise<void>>()
  onTestFinished(async () => {
    for (const end of owned) await end()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    directory,
    own(end) {
      owned.add(end)
      return () => void owned.delete(end)
    },
  }
}

test('20 processes killed with -9 one after the other lose nothing acknowledged, restore nothing wrong', async () => {
  const scratch = makeScratch()
  const random = createRandom(Number(process.env.PREFIXD_TEST_SEED ?? 3))
  const report = await killAgainAndAgain({ kills: 20, random, scratch, onProgress: () => {} })
  expect(killFindings(report).filter(({ holds }) => !holds)).toEqual([])
}, 300_000)

test('a service killed with -9 while it saves loses nothing acknowledged and restores nothing wrong', async () => {
  const progress: string[] = []
  const scene = fakeScene({
    kills: 2,
    seed: 3,
    scratch: makeScratch(),
    onProgress: (line) => progress.push(line),
  })
  const report = await proveCrashes({ ...scene, promptTokens: [100, 600] })
  const failed = crashFindings('fake engine', report).filter(({ holds }) => !holds)
  expect(failed, progress.join('\n')).toEqual([])
}, 180_000)
