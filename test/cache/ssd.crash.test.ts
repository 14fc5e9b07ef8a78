import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { BlockHash } from '../../cache/types.ts'
import {
  createRandom,
  expectStored,
  hashOf,
  MiB,
  makeDirectory,
  openTestTier,
} from '../support/stored-records.ts'

const script = fileURLToPath(new URL('../support/record-writer.ts', import.meta.url))
const rounds = 10

/** Kills the writer after that many acknowledgements; resolves with all that it had printed. */
function runUntilKilled(
  directory: string,
  seed: number,
  acknowledgements: number,
): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, directory, `${seed}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let complaint = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('latin1')
      if (output.split('+').length > acknowledgements) child.kill('SIGKILL')
    })
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString()
    })
    child.on('close', (_, signal) => {
      if (signal === 'SIGKILL') resolve(output.split('\n').slice(0, -1))
      else reject(new Error(`the writer ended by itself (${signal}): ${complaint}`))
    })
  })
}

/** Sizes of the records that must be there, by hash. */
type Acknowledged = Map<BlockHash, number>

function follow(lines: readonly string[], acknowledged: Acknowledged): void {
  for (const line of lines) {
    const [number, sizeBytes] = line.slice(1).split(' ').map(Number) as [number, number]
    if (line.startsWith('+')) acknowledged.set(hashOf(number), sizeBytes)
    // Whether a removal that had begun was committed is not known: both is right.
    else acknowledged.delete(hashOf(number))
  }
}

/** What is found although nobody heard of it was committed just before the death; it stays. */
async function checkAll(directory: string, acknowledged: Acknowledged): Promise<void> {
  const warnings: string[] = []
  const tier = await openTestTier(directory, {
    capacityBytes: 48 * MiB,
    onWarning: (message) => warnings.push(message),
  })
  const found = new Map([...tier.records()].map((record) => [record.hash, record]))
  for (const [hash, sizeBytes] of acknowledged) expect(found.get(hash)).toMatchObject({ sizeBytes })
  let slotBytes = 0
  for (const record of found.values()) {
    await expectStored(tier, record)
    slotBytes += tier.allocatedBytes(record.sizeBytes)
    acknowledged.set(record.hash, record.sizeBytes)
  }
  expect(tier.usage().usedBytes).toBe(slotBytes)
  expect(warnings).toEqual([])
  await tier.close()
}

test('a process killed at any moment loses nothing acknowledged and leaves no wrong byte', async () => {
  const seed = Number(process.env.PREFIXD_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
  process.stderr.write(`ssd.crash: repeat with PREFIXD_TEST_SEED=${seed}\n`)
  const random = createRandom(seed)
  const directory = makeDirectory()
  const acknowledged: Acknowledged = new Map()
  for (let round = 0; round < rounds; round++) {
    follow(await runUntilKilled(directory.path, seed + round, 1 + random(24)), acknowledged)
    await checkAll(directory.path, acknowledged)
  }
  expect(acknowledged.size).toBeGreaterThan(0)
  directory.remove()
}, 120_000)
