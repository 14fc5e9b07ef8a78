// Runs the CLI inside the Node that bin/prefixd chose. Imports nothing but Node itself, and is
// plain enough for an old Node to parse, so that it can say what is wrong.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const oldestNode = [22, 18]
const npmCheckMs = 1000
const repeatedSignalMs = 1000

const [major, minor] = process.versions.node.split('.').map(Number)
const isTooOld = major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])

const isClone = existsSync(new URL('setup.mjs', import.meta.url))
const remedy = isClone
  ? 'run "npm install" once, or start it with "npm start" or "bin/prefixd", which do that.'
  : 'install it again with its optional packages: "npm install prefixd --include=optional".'

if (isTooOld) {
  const own = `needs Node ${oldestNode.join('.')} or newer and runs on ${process.versions.node}`
  fail(`${own}; install Node 24, or bring the Node that belongs to it: ${remedy}`)
}
if (!(Number(process.env.UV_THREADPOOL_SIZE) >= 8)) process.env.UV_THREADPOOL_SIZE = '8'
if (/(^|[ /'])prefixd([ ']|$)/.test(process.env.npm_lifecycle_script ?? '')) {
  ignoreRepeatedSignals()
  endWithNpm()
}

const entry = ['../src/cli/main.ts', '../dist/src/cli/main.js']
  .map((path) => new URL(path, import.meta.url))
  .find((url) => existsSync(url))
if (entry === undefined) {
  fail('finds neither src/cli/main.ts nor dist/src/cli/main.js beside it; install it again.')
}
try {
  await import(entry.href)
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  fail(`is not installed completely: ${error.message.split(' imported from')[0]}; ${remedy}`)
}

function fail(sentence) {
  process.stderr.write(`prefixd: ${sentence}\n`)
  process.exit(1)
}

/**
 * A terminal sends Ctrl-C to npm and to us, and npm passes it on: two signals for one key. A
 * service takes the second one as "do not wait", so a repeat within a second is dropped.
 */
function ignoreRepeatedSignals() {
  const lastAtMs = new Map()
  const emit = process.emit
  process.emit = function (event, ...rest) {
    if (event === 'SIGINT' || event === 'SIGTERM') {
      const atMs = performance.now()
      const isRepeated = atMs - (lastAtMs.get(event) ?? -repeatedSignalMs) < repeatedSignalMs
      if (isRepeated) return true
      lastAtMs.set(event, atMs)
    }
    return emit.call(this, event, ...rest)
  }
}

/** npm waits for us as long as it lives: without it, it was killed, and nobody can stop us. */
function endWithNpm() {
  const parent = process.ppid
  const npm = npmBehindShell(parent)
  setInterval(() => {
    const isAlone = process.ppid !== parent || (npm !== null && !isAlive(npm))
    if (isAlone) process.kill(process.pid, 'SIGTERM')
  }, npmCheckMs).unref()
}

/** `npm start` execs us; under npx a shell may stand between npm and us. Null where none does. */
function npmBehindShell(parent) {
  const ask = ['-o', 'ppid=,comm=', '-p', String(parent)]
  const { stdout } = spawnSync('ps', ask, { encoding: 'utf8' })
  const npm = /^\s*(\d+)\s+\S*sh\s*$/.exec(stdout ?? '')
  return npm === null ? null : Number(npm[1])
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code !== 'ESRCH'
  }
}
