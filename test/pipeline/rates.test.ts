import { expect, test } from 'vitest'
import type { MeasuredRates } from '../../src/catalog/types.ts'
import { createRateMeter } from '../../src/pipeline/rates.ts'

const mebibyte = 1024 ** 2

/** A meter that has seen restores of one MiB that took so long. */
function after(...restoresMs: readonly number[]) {
  const meter = createRateMeter()
  for (const ms of restoresMs) meter.restored('ssd', mebibyte, ms)
  return meter
}
const ssdRate = (meter: ReturnType<typeof createRateMeter>) => meter.rates().restoreBytesPerMs.ssd

test('a tier is not judged by its first restores: they come from a cold start', () => {
  expect(ssdRate(after())).toBe(null)
  expect(ssdRate(after(900, 800))).toBe(null)
  expect(ssdRate(after(900, 800, 700))).toBe(mebibyte / 700)
})

test('a restore that was slow once does not make its tier slow', () => {
  expect(ssdRate(after(2, 4, 1, 5000, 2))).toBe(mebibyte / 1)
  expect(ssdRate(after(1, 5, 5, 5, 5, 5))).toBe(mebibyte / 5)
})

test('a tier that was given up is tried again', () => {
  const meter = after(900, 900, 900, 900, 900)
  for (const _ of [1, 2, 3]) meter.declined()
  expect(ssdRate(meter)).toBe(null)
  for (const _ of [1, 2, 3]) meter.restored('ssd', mebibyte, 2)
  expect(ssdRate(meter)).toBe(mebibyte / 2)
})

test('what is too small to say anything is not counted', () => {
  const meter = after()
  for (const _ of [1, 2, 3]) meter.restored('ram', mebibyte - 1, 1)
  meter.prefilled(63, 1)
  expect(meter.rates()).toEqual({
    prefillTokensPerMs: null,
    restoreBytesPerMs: { ram: null, ssd: null },
  })
})

test('a run goes on from what the one before has measured, as if it had been the same', () => {
  const heard: MeasuredRates[] = []
  const before = createRateMeter((measured) => void heard.push(measured))
  before.prefilled(1000, 1000)
  for (const ms of [4, 8, 8, 8, 8]) before.restored('ssd', mebibyte, ms)
  const meter = createRateMeter()
  meter.goOnFrom(heard.at(-1) as MeasuredRates)
  expect(meter.rates()).toEqual(before.rates())
  for (const each of [before, meter]) {
    each.prefilled(1000, 500)
    each.restored('ssd', mebibyte, 8)
  }
  expect(meter.rates()).toEqual(before.rates())
  expect(ssdRate(meter)).toBe(mebibyte / 8)
  expect(meter.rates().prefillTokensPerMs).toBeCloseTo(1.3)
})

test('what this run has measured itself counts as newer than what an earlier one has', () => {
  const ssd = [1e9, 1e9, 1e9, 1e9, 1e9]
  const earlier = { prefillTokensPerMs: 9, restoresBytesPerMs: { ram: [], ssd } }
  const meter = after(1, 1, 1)
  meter.prefilled(1000, 1000)
  meter.goOnFrom(earlier)
  expect(meter.rates().prefillTokensPerMs).toBe(1)
  for (const _ of [1, 2]) meter.declined()
  expect(ssdRate(meter)).toBe(mebibyte / 1)
})
