import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mlxCommand } from '../../engines/mlx/command.ts'
import { mlxPythonPath } from '../../engines/mlx/files.ts'
import { type ChildEnd, runChild } from '../../src/environment/child.ts'
import { mlxRuntime } from '../../src/environment/index.ts'
import { mlxIsRefused, mlxTestEnvironment } from '../support/mlx-environment.ts'

// Their reports are what somebody wants to see when one of these fails.
describe.skipIf(mlxIsRefused !== null)('the Python of the MLX engine', () => {
  let run: (...words: string[]) => Promise<ChildEnd>
  let scratch: string

  beforeAll(async () => {
    const { around } = await mlxTestEnvironment()
    const runtime = await mlxRuntime(around)
    scratch = mkdtempSync(join(tmpdir(), 'prefixd-python-'))
    const env = { ...process.env, ...mlxCommand(runtime, 1).env }
    const { signal } = new AbortController()
    // sh, since a program is started in the folder of the tests.
    run = (...words) => {
      const script = 'cd "$1" && shift && exec "$@"'
      const args = ['-c', script, 'sh', mlxPythonPath(), runtime.python, '-m', ...words]
      return runChild('sh', args, { env, signal })
    }
  })
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  const passes = async (...words: string[]): Promise<void> => {
    const { exitCode, output } = await run(...words)
    expect(exitCode, output).toBe(0)
  }

  it('passes its own tests', () => passes('pytest', '-q', '-p', 'no:cacheprovider'))

  it('is typed, strictly', () =>
    passes('mypy', '--strict', '--cache-dir', join(scratch, 'mypy'), '.'))

  it('is tidy and formatted', async () => {
    await passes('ruff', 'check', '--no-cache', '.')
    await passes('ruff', 'format', '--check', '--no-cache', '.')
  })
})
