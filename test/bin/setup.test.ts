import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { repositoryRoot } from '../support/source-files.ts'

/** Nothing listens on port 9, so this is a machine without a network. */
const offline = 'http://127.0.0.1:9'

let clone: string

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'prefixd-clone-'))
  for (const file of ['bin', 'package.json', 'package-lock.json', '.npmrc']) {
    cpSync(join(repositoryRoot, file), join(clone, file), { recursive: true })
  }
})
afterEach(() => rmSync(clone, { recursive: true, force: true }))

function setUp(): { status: number | null; sentences: string[] } {
  const env = {
    ...process.env,
    npm_execpath: '',
    npm_config_registry: offline,
    npm_config_cache: join(clone, 'npm-cache'),
  }
  const script = join(clone, 'bin/setup.mjs')
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8', env })
  return { status, sentences: stderr.split('\n').filter((line) => line !== '') }
}

/** What npm leaves in node_modules when it has installed all of the lock file. */
function pretendInstalled(): void {
  mkdirSync(join(clone, 'node_modules'))
  cpSync(join(clone, 'package-lock.json'), join(clone, 'node_modules/.package-lock.json'))
}

describe('setting up a clone', () => {
  it('does nothing, and says nothing, when everything is there', () => {
    pretendInstalled()
    expect(setUp()).toEqual({ status: 0, sentences: [] })
  })

  it('says without a network in one sentence what to do, and leaves no lock behind', () => {
    const { status, sentences } = setUp()
    expect(status).toBe(1)
    expect(sentences).toEqual([
      expect.stringContaining('installs its packages'),
      expect.stringMatching(/registry cannot be reached; connect to the network .* run this again/),
    ])
    expect(existsSync(join(clone, '.setup-lock'))).toBe(false)
  })

  it('installs when the lock file has changed since', () => {
    pretendInstalled()
    const actual = join(clone, 'node_modules/.package-lock.json')
    writeFileSync(actual, JSON.stringify({ packages: {} }))
    expect(setUp().sentences[0]).toContain('installs its packages')
  })

  it('takes over from a set-up that was killed', () => {
    const ended = spawnSync(process.execPath, ['-e', '']).pid
    writeFileSync(join(clone, '.setup-lock'), String(ended))
    expect(setUp().sentences[0]).toContain('installs its packages')
  })

  it('names the command that brings a damaged lock file back', () => {
    writeFileSync(join(clone, 'package-lock.json'), '{"packages":')
    const { status, sentences } = setUp()
    expect(status).toBe(1)
    expect(sentences).toEqual([expect.stringContaining('git checkout package-lock.json')])
  })
})
