import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { commandHelp } from '../../src/cli/help.ts'
import { settingList } from '../../src/config/schema.ts'
import { prefixd } from './run.ts'

describe('help', () => {
  it('is what bare prefixd prints: the way from nothing to a warm cache', async () => {
    const ran = await prefixd([])
    await expect(ran.out).toMatchFileSnapshot('golden/overview.txt')
    expect(ran).toMatchObject({ exit: 0, err: '' })
    for (const words of [['help'], ['--help'], ['-h']]) {
      expect(await prefixd(words)).toEqual(ran)
    }
  })

  for (const name of Object.keys(commandHelp)) {
    it(`explains "prefixd ${name}" within 80 columns, with examples that the CLI takes`, async () => {
      const ran = await prefixd(['help', ...name.split(' ')], { width: 80 })
      await expect(ran.out).toMatchFileSnapshot(`golden/help-${name.replace(' ', '-')}.txt`)
      expect(ran).toMatchObject({ exit: 0, err: '' })
      expect(await prefixd([...name.split(' '), '--help'], { width: 80 })).toEqual(ran)
      const lines = ran.out.split('\n')
      const isLong = (line: string) => line.length > 80 && !line.startsWith('  prefixd')
      expect(lines.filter(isLong)).toEqual([])
    })
  }

  it('lists the commands of a group', async () => {
    const ran = await prefixd(['models'])
    expect(ran).toMatchObject({ exit: 0, err: '' })
    for (const name of ['pull', 'convert', 'ls', 'rm']) {
      expect(ran.out).toMatch(new RegExp(`^  prefixd models ${name} `, 'm'))
    }
    expect(await prefixd(['help', 'models'])).toEqual(ran)
  })

  it('knows every setting as a flag of serve', async () => {
    const { out } = await prefixd(['serve', '--help'])
    for (const [, { key, kind }] of settingList) {
      const flag = kind.isSwitch ? `--[no-]${key}` : `--${key} <${kind.placeholder}>`
      expect(out).toContain(`  ${flag} `)
    }
  })

  it('prints the version', async () => {
    for (const words of [['--version'], ['-v'], ['version']]) {
      expect(await prefixd(words)).toMatchObject({ exit: 0, out: '0.4.0\n', err: '' })
    }
  })
})

describe('docs/cli.md', () => {
  const document = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')

  for (const name of Object.keys(commandHelp)) {
    it(`explains "prefixd ${name}" and its flags`, async () => {
      expect(document).toContain(`## prefixd ${name.split(' ')[0]}\n`)
      expect(document).toContain(name)
      if (name === 'serve' || name === 'config') return
      const { out } = await prefixd([...name.split(' '), '--help'])
      const flags = [...out.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag]) => flag)
      expect(flags.filter((flag) => !document.includes(flag ?? ''))).toEqual([])
    })
  }
})

describe('the examples of help', () => {
  const examples = Object.values(commandHelp).flatMap((help) =>
    help.examples.map(([command]) => command),
  )
  for (const example of examples) {
    it(`can be typed: ${example}`, async () => {
      const words = example
        .split(' | ')[0]
        ?.split(' ')
        .filter((word) => !/^[A-Z_]+=|^prefixd$/.test(word))
      const fetch = async () => {
        throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } })
      }
      const ran = await prefixd(words ?? [], { fetch })
      // What is asked for is not there, but the command line itself is understood.
      expect(ran.err).not.toMatch(/there is no flag|no command|cannot be|must be|is missing/)
    })
  }
})
