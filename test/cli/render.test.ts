import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bar } from '../../src/cli/render/bar.ts'
import { formatCompact, formatShare } from '../../src/cli/render/count.ts'
import { formatAge, formatDuration, parseAge } from '../../src/cli/render/duration.ts'
import { type Column, tableLines } from '../../src/cli/render/table.ts'
import { cellCount, printable, shorten, wrap } from '../../src/cli/render/text.ts'

describe('printable text', () => {
  it('has nothing that a terminal would obey, whatever came in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).not.toMatch(/\p{Cc}|\p{Zl}|\p{Zp}|\p{Bidi_Control}|\p{Cs}/u)
      }),
    )
  })

  it('leaves ordinary text of any language alone', () => {
    for (const text of ['naïve café', '日本語', 'модель 27b', '🚀']) {
      expect(printable(text)).toBe(text)
    }
  })

  it('shows where the beginning of an escape sequence was', () => {
    expect(printable('a\u001b[2Jb\r\nc\u202e')).toBe('a\\x1b[2Jb\\r\\nc\\u202e')
  })
})

describe('shortened and wrapped text', () => {
  it('never takes more cells than there are', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 60 })
    fc.assert(
      fc.property(text, fc.integer({ min: 3, max: 40 }), (long, cells) => {
        expect(cellCount(shorten(printable(long), cells))).toBeLessThanOrEqual(cells)
      }),
    )
  })

  it('keeps the beginning and the end of a name', () => {
    expect(shorten('qwen3.6-27b-instruct-q4_k_m.gguf', 15)).toBe('qwen3.6…_m.gguf')
    expect(shorten('日本語のモデル', 8)).toBe('日本…ル')
  })

  it('breaks at spaces and loses no word', () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(words, fc.integer({ min: 12, max: 60 }), (all, cells) => {
        const lines = wrap(all.join(' '), cells)
        expect(lines.join(' ')).toBe(all.join(' '))
        expect(Math.max(...lines.map(cellCount))).toBeLessThanOrEqual(cells)
      }),
    )
  })
})

describe('a table', () => {
  interface Row {
    readonly name: string
    readonly size: string
  }
  const columns: Column<Row>[] = [
    { title: 'NAME', priority: 0, maxCells: 12, value: ({ name }) => name },
    { title: 'SIZE', priority: 1, align: 'right', value: ({ size }) => size },
    { title: 'NOTE', priority: 2, value: () => 'a note' },
  ]
  const rows: Row[] = [
    { name: 'short', size: '1' },
    { name: 'a-name-that-is-too-long', size: '12,345' },
  ]

  it('aligns numbers to the right, and cuts long names in the middle', () => {
    expect(tableLines(columns, rows, 80)).toEqual([
      'NAME             SIZE   NOTE',
      'short               1   a note',
      'a-name…-long   12,345   a note',
    ])
  })

  it('drops its least important column first, and its first one never', () => {
    expect(tableLines(columns, rows, 29)[0]).toBe('NAME             SIZE')
    expect(tableLines(columns, rows, 15)[0]).toBe('NAME')
    expect(tableLines(columns, rows, 1)[0]).toBe('NAME')
  })

  it('cuts what may be cut before it drops a column', () => {
    const path = { title: 'PATH', priority: 1, minCells: 6, value: () => '/a/long/path/to/a/file' }
    const wide = [{ ...columns[0], title: 'NAME', priority: 0, value: () => 'x' }, path]
    const at = (width: number) => tableLines<Row>(wide, rows.slice(0, 1), width)[1]
    expect([40, 20, 13, 12].map(at)).toEqual([
      'x      /a/long/path/to/a/file',
      'x      /a/lon…a/file',
      'x      /a/…le',
      'x',
    ])
  })

  it('is as wide as its values where there is no terminal', () => {
    const lines = tableLines(columns, rows, Number.POSITIVE_INFINITY)
    expect(lines[2]).toBe('a-name-that-is-too-long   12,345   a note')
  })
})

describe('numbers for people', () => {
  it('a gauge looks empty only at zero and full only when it is', () => {
    expect([0, 0.001, 0.5, 0.999, 1, Number.NaN].map((share) => bar(share, 4))).toEqual([
      '░░░░',
      '█░░░',
      '██░░',
      '███░',
      '████',
      '░░░░',
    ])
  })

  it('counts are short and never claim a digit that they lack', () => {
    expect([0, 9999, 10_000, 612_345, 999_499, 5_900_000, 71_300_000].map(formatCompact)).toEqual([
      '0',
      '9,999',
      '10.0k',
      '612k',
      '999k',
      '5.90M',
      '71.3M',
    ])
    expect(formatShare(1, 3)).toBe('33.3%')
    expect(formatShare(0, 0)).toBe('-')
  })

  it('durations change their unit where people do', () => {
    const cases = [0, 0.84, 9.96, 184, 1660, 59_990, 82_000, 10_260_000, 273_600_000]
    expect(cases.map(formatDuration)).toEqual([
      ...['0 ms', '0.8 ms', '10 ms', '184 ms', '1.66 s', '60.0 s', '1m 22s', '2h 51m', '3d 4h'],
    ])
    expect([-5, 999, 4000, 180_000, 7_200_000, 90_000_000].map(formatAge)).toEqual([
      ...['now', 'now', '4 s ago', '3 min ago', '2 h ago', '1 d ago'],
    ])
  })

  it('ages are read as people write them, and nothing else is', () => {
    expect(['90s', '30m', '12h', '7d', '2w', '1.5 h'].map(parseAge)).toEqual([
      ...[90_000, 1_800_000, 43_200_000, 604_800_000, 1_209_600_000, 5_400_000],
    ])
    for (const text of ['', '7', 'd', '-7d', '0d', '7y', '7d8h', '1e9d', `${'9'.repeat(20)}w`]) {
      expect(parseAge(text)).toBeNull()
    }
  })
})
