import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { repositoryRoot } from '../support/source-files.ts'

/** An installed package whose CLI is the script that a test writes. */
let home: string
let launcher: string

beforeEach(() => {
  // No platform package is installed there, so the launcher takes the Node of the path.
  vi.stubEnv('PATH', `${dirname(process.execPath)}${delimiter}${process.env.PATH}`)
  home = realpathSync(mkdtempSync(join(tmpdir(), 'prefixd-launcher-')))
  const installed = join(home, 'node_modules/prefixd')
  for (const file of ['prefixd', 'prefixd.mjs']) {
    cpSync(join(repositoryRoot, 'bin', file), join(installed, 'bin', file))
  }
  mkdirSync(join(home, 'node_modules/.bin'))
  launcher = join(home, 'node_modules/.bin/prefixd')
  symlinkSync('../prefixd/bin/prefixd', launcher)
  mkdirSync(join(installed, 'dist/src/cli'), { recursive: true })
  writeFileSync(join(installed, 'package.json'), '{"type":"module"}')
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const writeCli = (code: string): void =>
  writeFileSync(join(home, 'node_modules/prefixd/dist/src/cli/main.js'), code)

/** A service that reports signals, and ends at the word of one that it was told to heed. */
const service = `
  process.on('SIGTERM', () => { console.log('SIGTERM'); process.exit(0) })
  process.on('SIGINT', () => console.log('SIGINT'))
  setInterval(() => {}, 1000)
  console.log('pid ' + process.pid)
`

describe('bin/prefixd', () => {
  it('follows its link, passes arguments and output on, and ends with the exit code', () => {
    writeCli('console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7')
    const run = spawnSync(launcher, ['a b', '--c'], { encoding: 'utf8' })
    expect(run).toMatchObject({ status: 7, stdout: '["a b","--c"]\n', stderr: '' })
  })

  it.each([
    ['4', '8'],
    ['many', '8'],
    ['16', '16'],
  ])('has at least eight threads for files and hashes: %s becomes %s', (given, used) => {
    writeCli('console.log(process.env.UV_THREADPOOL_SIZE)')
    const env = { ...process.env, UV_THREADPOOL_SIZE: given }
    expect(spawnSync(launcher, { encoding: 'utf8', env }).stdout.trim()).toBe(used)
  })

  it('is one process: the one that a user starts is the one that serves', async () => {
    writeCli(service)
    const child = spawn(launcher, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [said] = (await once(createInterface(child.stdout), 'line')) as [string]
    expect(said).toBe(`pid ${child.pid}`)
    child.kill('SIGKILL')
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
  })

  it.each([
    ['of a package', [], /"npm install prefixd --include=optional"\.\n$/],
    ['of a clone', ['setup.mjs'], /"npm install" once, or start it with "npm start" or .*\n$/],
  ])('says in one sentence that the Node is too old, and what helps: %s', (_, files, remedy) => {
    for (const file of files) writeFileSync(join(home, 'node_modules/prefixd/bin', file), '')
    const old = join(home, 'old-node.mjs')
    writeFileSync(
      old,
      `Object.defineProperty(process.versions, 'node', { value: '20.20.2' })
       await import(${JSON.stringify(join(home, 'node_modules/prefixd/bin/prefixd.mjs'))})`,
    )
    const { status, stderr } = spawnSync(process.execPath, [old], { encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^prefixd: needs Node 22\.18 or newer and runs on 20\.20\.2; .*\n$/)
    expect(stderr).toMatch(remedy)
  })

  it('names the package that is not installed, without a stack', () => {
    writeCli("import 'a-package'")
    const { status, stderr } = spawnSync(launcher, { encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^prefixd: is not installed completely: .*'a-package'; install .*\n$/)
  })
})

describe('bin/prefixd in a clone', () => {
  let clone: string

  /** Its set-up says that it ran, and leaves what npm leaves. */
  beforeEach(() => {
    clone = join(home, 'node_modules/prefixd')
    writeCli("console.log('served')")
    writeFileSync(join(clone, 'package-lock.json'), '{}')
    const modules = JSON.stringify(join(clone, 'node_modules'))
    writeFileSync(
      join(clone, 'bin/setup.mjs'),
      `import { mkdirSync, writeFileSync } from 'node:fs'
       process.stderr.write('sets up\\n')
       mkdirSync(${modules}, { recursive: true })
       writeFileSync(${modules} + '/.package-lock.json', '')`,
    )
  })

  const run = () => {
    const { status, stdout, stderr } = spawnSync(launcher, ['serve'], { encoding: 'utf8' })
    return { status, stdout, stderr }
  }

  it('installs what is missing, says so on stderr, and goes on; once', () => {
    expect(run()).toEqual({ status: 0, stdout: 'served\n', stderr: 'sets up\n' })
    expect(run()).toEqual({ status: 0, stdout: 'served\n', stderr: '' })
  })

  it('installs again where the lock file is newer than what was installed', () => {
    run()
    const later = new Date(Date.now() + 60_000)
    utimesSync(join(clone, 'package-lock.json'), later, later)
    expect(run()).toMatchObject({ stdout: 'served\n', stderr: 'sets up\n' })
  })

  it('starts nothing where the set-up failed', () => {
    writeFileSync(
      join(clone, 'bin/setup.mjs'),
      "process.stderr.write('no network\\n'); process.exit(1)",
    )
    expect(run()).toEqual({ status: 1, stdout: '', stderr: 'no network\n' })
  })
})

describe('bin/prefixd under npm', () => {
  /** Stands in for npm: starts the launcher as its child and then waits. */
  function startUnderNpm(lifecycleScript: string) {
    writeCli(service)
    const npm = join(home, 'npm.mjs')
    const env = `{ ...process.env, npm_lifecycle_script: ${JSON.stringify(lifecycleScript)} }`
    writeFileSync(
      npm,
      `import { spawn } from 'node:child_process'
       spawn(${JSON.stringify(launcher)}, { stdio: 'inherit', env: ${env} })`,
    )
    chmodSync(npm, 0o755)
    const parent = spawn(process.execPath, [npm], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface(parent.stdout)[Symbol.asyncIterator]()
    const nextLine = async (): Promise<string> => (await lines.next()).value ?? 'end'
    return { parent, nextLine }
  }

  it('ends when npm is killed', async () => {
    const { parent, nextLine } = startUnderNpm('node bin/setup.mjs && exec sh bin/prefixd serve')
    expect(await nextLine()).toMatch(/^pid /)
    parent.kill('SIGKILL')
    expect(await nextLine()).toBe('SIGTERM')
    expect(await nextLine()).toBe('end')
  })

  it('takes the Ctrl-C that npm passes on a second time as one', async () => {
    const { parent, nextLine } = startUnderNpm("'prefixd'")
    const pid = Number((await nextLine()).replace('pid ', ''))
    process.kill(pid, 'SIGINT')
    expect(await nextLine()).toBe('SIGINT')
    process.kill(pid, 'SIGINT')
    process.kill(pid, 'SIGTERM')
    expect(await nextLine()).toBe('SIGTERM')
    parent.kill('SIGKILL')
  })
})
