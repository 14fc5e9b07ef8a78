import { expect, test } from 'vitest'
import { DamageLog } from '../../cache/damage.ts'
import type { BlockHash } from '../../cache/types.ts'
import { hashOf } from '../support/stored-records.ts'
import { tokensOf } from '../support/toy-engine.ts'

const parent = { hash: hashOf(1000) as BlockHash }
const blockOf = (number: number) => ({ hash: hashOf(number) as BlockHash, parent })
const none = new Uint32Array(0)

function logOf(rememberedDamages: number) {
  let nowMs = 0
  return new DamageLog({ ssd: null, rememberedDamages, now: () => ++nowMs, warn: () => {} })
}

const wanted = (number: number, tokens = none, sharedTokens = 0) => ({
  hash: hashOf(number) as BlockHash,
  parent: parent.hash,
  tokens,
  sharedTokens,
})

test('the oldest of more than are remembered is forgotten', () => {
  const log = logOf(2)
  for (const number of [1, 2, 3]) log.setAside(blockOf(number), none)
  expect([1, 2, 3].map((number) => log.whenSetAside(wanted(number)))).toEqual([null, 2, 3])
})

test('a tail is known by most of its ids, behind the same parent only', () => {
  const log = logOf(2)
  const tail = tokensOf([0, 40])
  log.setAside(blockOf(1), tail)
  expect(log.whenSetAside(wanted(2, tokensOf([0, 30])))).toBe(1)
  expect(log.whenSetAside(wanted(2, tokensOf([0, 10], [9000, 30])))).toBeNull()
  const elsewhere = { ...wanted(2, tail), parent: hashOf(1001) as BlockHash }
  expect(log.whenSetAside(elsewhere)).toBeNull()
})

test('what is stored otherwise serves the prompt as far as the damaged one would have', () => {
  const log = logOf(2)
  log.setAside(blockOf(1), tokensOf([0, 40]))
  expect(log.whenSetAside(wanted(2, tokensOf([0, 30], [9000, 5]), 30))).toBeNull()
})

test('a block that is stored anew is forgotten, with its ids or with others behind its beginning', () => {
  const log = logOf(4)
  log.setAside(blockOf(1), tokensOf([0, 40]))
  log.setAside(blockOf(2), none)
  log.stored(blockOf(3), tokensOf([0, 35], [9000, 5]))
  log.stored(blockOf(2), tokensOf([500, 20]))
  expect(log.whenSetAside(wanted(1, tokensOf([0, 40])))).toBeNull()
  expect(log.whenSetAside(wanted(2))).toBeNull()
})
