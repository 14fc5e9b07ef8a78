/** The two services that are killed: one that computes little and stores much, and the real one. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRandom } from '../random.ts'
import type { Scratch } from '../scratch-folder.ts'
import type { CrashOptions } from './services.ts'

type Scene = Pick<CrashOptions, 'kills' | 'scratch' | 'onProgress'> & { readonly seed: number }

/** Words of a service that keeps to itself: no settings of this user, a free port, a folder. */
export function wordsFor(scratch: Scratch, name: string, flags: Readonly<Record<string, string>>) {
  const configFile = join(scratch.directory, 'empty.toml')
  writeFileSync(configFile, '')
  const all = { ...flags, port: '0', config: configFile, dir: join(scratch.directory, name) }
  return Object.entries(all).flatMap(([key, value]) => [`--${key}`, value])
}

/** Its answers depend on every restored byte. A record of 128 tokens has half a MiB. */
export const fakeScene = ({ seed, ...scene }: Scene): CrashOptions => ({
  ...scene,
  random: createRandom(seed),
  words: wordsFor(scene.scratch, 'fake', {
    engine: 'fake',
    ram: '256MiB',
    ssd: '4GiB',
    'block-tokens': '128',
  }),
  // So slow that restoring is worth it on any disk, and that blocks are saved while others compute.
  env: { PREFIXD_FAKE: '{"bytesPerToken":4080,"prefillTokensPerSecond":2000}' },
  blockTokens: 128,
  promptTokens: [100, 1600],
  promptsPerRound: 4,
  answerTokens: 12,
  vocabularySize: 256,
})

/** Whole blocks only, so that warm answers are the cold ones bit by bit. */
export const realScene = ({ seed, ...scene }: Scene): CrashOptions => ({
  ...scene,
  random: createRandom(seed),
  words: wordsFor(scene.scratch, 'real', {
    model: 'smollm2-135m',
    ram: '256MiB',
    ssd: '1GiB',
    ctx: '1024',
    reuse: 'block',
    'block-tokens': '64',
  }),
  env: {},
  blockTokens: 64,
  promptTokens: [150, 500],
  promptsPerRound: 2,
  answerTokens: 12,
  vocabularySize: 49_000,
})
