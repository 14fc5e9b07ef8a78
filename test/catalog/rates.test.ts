import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Namespace } from '../../cache/types.ts'
import type { MeasuredRates } from '../../src/catalog/types.ts'
import { limits } from '../../src/config/limits.ts'
import { catalogFolder } from '../support/open-catalog.ts'

const model = { namespace: 'a4'.repeat(32) as Namespace, device: 'CPU, 2 threads' }
const measured: MeasuredRates = {
  prefillTokensPerMs: 0.125,
  restoresBytesPerMs: { ram: [4e6, 5e6, 4.5e6], ssd: [] },
}
const dayMs = 24 * 3_600_000

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function change(path: string, sql: string): void {
  const db = new Database(path)
  db.exec(sql)
  db.close()
}

test('rates are known after a restart, and after a kill if they are some seconds old', () => {
  const { open } = catalogFolder()
  const killed = open()
  killed.rates.note(model, measured)
  vi.advanceTimersByTime(limits.catalogRatesDelayMs + limits.catalogDelayMs)
  const after = open()
  expect(after.rates.latest(model)).toEqual(measured)
  const newer = { ...measured, prefillTokensPerMs: 0.5 }
  after.rates.note(model, newer)
  after.close()
  expect(open().rates.latest(model)).toEqual(newer)
})

test('many measurements are one write', () => {
  const { open, path } = catalogFolder()
  const catalog = open()
  change(path, 'CREATE TABLE written (at INTEGER)')
  const counting = 'BEGIN INSERT INTO written VALUES (new.measured_ms); END'
  change(path, `CREATE TRIGGER counts AFTER INSERT ON rates ${counting}`)
  for (let at = 0; at < 50; at++) {
    catalog.rates.note(model, { ...measured, prefillTokensPerMs: 1 + at })
    vi.advanceTimersByTime(limits.catalogRatesDelayMs / 50)
  }
  catalog.close()
  const db = new Database(path, { readonly: true })
  expect(db.prepare('SELECT count(*) FROM written').pluck().get()).toBe(1)
  db.close()
  expect(open().rates.latest(model)).toMatchObject({ prefillTokensPerMs: 50 })
})

test('another model, device or machine has rates of its own', () => {
  const { open, directory } = catalogFolder()
  const first = open()
  first.rates.note(model, measured)
  first.close()
  const { rates, close } = open()
  expect(rates.latest({ ...model, device: 'CPU, 1 thread' })).toBe(null)
  expect(rates.latest({ ...model, namespace: 'b7'.repeat(32) as Namespace })).toBe(null)
  close()
  const moved = open(directory, false, { machine: 'linux x64, 8 × AMD EPYC' })
  expect(moved.rates.latest(model)).toBe(null)
  moved.close()
  expect(open().rates.latest(model)).toEqual(measured)
})

test('what can be no speed is not trusted', () => {
  const { open, path } = catalogFolder()
  const first = open()
  first.rates.note(model, measured)
  first.close()
  for (const [prefill, list] of [
    ['9e999', '[0, -5, null, "7", 1e999, 3]'],
    ['-1', '[[3], 3]'],
    ['0', '[3'],
  ]) {
    const set = `prefill_tokens_per_ms = ${prefill}, ram_bytes_per_ms = '${list}'`
    change(path, `UPDATE rates SET ${set}, ssd_bytes_per_ms = '3'`)
    const catalog = open()
    expect(catalog.rates.latest(model)).toEqual({
      prefillTokensPerMs: null,
      restoresBytesPerMs: { ram: list === '[3' ? [] : [3], ssd: [] },
    })
    catalog.close()
  }
})

test('rates of what was not served for half a year go, and the oldest of too many', () => {
  const { open, path, clock } = catalogFolder()
  const first = open()
  for (let at = 0; at <= limits.catalogRates; at++) {
    first.rates.note({ ...model, device: `device ${at}` }, measured)
    clock.ms++
  }
  first.close()
  const opened = () => {
    const catalog = open()
    vi.advanceTimersByTime(10)
    catalog.close()
    const db = new Database(path, { readonly: true })
    const devices = db.prepare('SELECT device FROM rates ORDER BY measured_ms').pluck().all()
    db.close()
    return devices
  }
  const left = opened()
  expect([left.length, left[0]]).toEqual([limits.catalogRates, 'device 1'])
  clock.ms += limits.catalogRatesMs + dayMs
  expect(opened()).toEqual([])
})
