import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { claudeCode } from '../../bench/agents/claude-code.ts'
import { codex } from '../../bench/agents/codex.ts'
import { installAgent } from '../../bench/agents/install.ts'
import { opencode } from '../../bench/agents/opencode.ts'

const scratch = { directory: '', own: () => () => {} }
const agent = { ...claudeCode, executable: () => 'program/run' }
let folder = ''

/** An npm that does what `script` says, and keeps the words of each call. */
function npmThat(script: string): void {
  const path = join(folder, 'npm')
  writeFileSync(path, `#!/bin/sh\necho "$@" >> "${folder}/calls"\n${script}\n`)
  chmodSync(path, 0o755)
  vi.stubEnv('PATH', [folder, process.env.PATH].join(delimiter))
}

const install = (said: string[] = []) =>
  installAgent(agent, join(folder, 'agents'), scratch, (line) => said.push(line))
const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prefixd-agents-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
})

it('installs an exact version, without its scripts, and only once', async () => {
  npmThat('mkdir -p node_modules/program && touch node_modules/program/run')
  const said: string[] = []
  const program = await install(said)
  expect(existsSync(program)).toBe(true)
  expect(said).toEqual([expect.stringContaining('installing Claude Code 2.1.330')])
  expect(await install()).toBe(program)
  expect(calls()).toEqual([expect.stringMatching(/^install .*--ignore-scripts .*@2\.1\.330$/)])
})

it('goes on with what npm could not finish, and says what npm said', async () => {
  npmThat('touch begun; echo "no network" >&2; exit 1')
  await expect(install()).rejects.toThrow('no network')
  npmThat('test -e begun && mkdir -p node_modules/program && touch node_modules/program/run')
  expect(existsSync(await install())).toBe(true)
})

it('installs again what has lost its program', async () => {
  npmThat('mkdir -p node_modules/program && touch node_modules/program/run')
  const program = await install()
  rmSync(program)
  expect(await install()).toBe(program)
  expect(existsSync(program)).toBe(true)
  expect(calls()).toHaveLength(2)
})

it('says when npm left out the package with the program', async () => {
  npmThat('true')
  await expect(install()).rejects.toThrow('without program/run: npm skips optional packages')
})

it('knows which platforms have a program', () => {
  for (const each of [claudeCode, opencode, codex]) {
    expect(each.executable('linux', 'x64')).toContain('linux-x64/')
    expect(each.executable('darwin', 'arm64')).toContain('darwin-arm64/')
    expect(each.executable('aix', 'ppc64')).toBeNull()
  }
})
