/** The worker's own tests and checks, which are Python's, as a part of `npm test`. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { protocolFields } from '../../../engines/messages.ts'
import {
  type MlxTestEnvironment,
  mlxIsRefused,
  mlxTestEnvironment,
} from '../../support/mlx-environment.ts'
import { repositoryRoot } from '../../support/source-files.ts'

const run = promisify(execFile)

const worker = 'engines/mlx/python'
const tests = 'test/engines/mlx/python'
const families = 'test/support/mlx_families'
const settings = join(worker, 'pyproject.toml')
const everything = [worker, tests, families]

let environment: MlxTestEnvironment

/** What a Python program wrote, whether it was content or not. */
async function python(...args: string[]): Promise<string> {
  const paths = [worker, 'test/support', tests].map((path) => join(repositoryRoot, path)).join(':')
  const env = {
    ...process.env,
    ...{ PYTHONPATH: paths, MYPYPATH: paths, PYTHONDONTWRITEBYTECODE: '1' },
  }
  try {
    const options = { cwd: repositoryRoot, env, maxBuffer: 16 * 1024 * 1024, timeout: 800_000 }
    return (await run(environment.python, args, options)).stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${stdout}${stderr}`.slice(-8_000))
  }
}

describe.skipIf(mlxIsRefused !== null)('the Python of the MLX engine', () => {
  beforeAll(async () => {
    environment = await mlxTestEnvironment()
  })

  it('passes its tests', async () => {
    // Files with other names would not be found by pytest, and nobody would notice.
    const output = await python('-m', 'pytest', '-q', '-p', 'no:cacheprovider', tests)
    expect(output).toMatch(/^\d{3,} passed/m)
    expect(output).not.toMatch(/skipped|xfailed|deselected/)
  }, 900_000)

  it('has types that fit', async () => {
    const cache = ['--cache-dir', '/dev/null']
    const output = await python('-m', 'mypy', '--config-file', settings, ...cache, ...everything)
    expect(output).toMatch(/^Success: no issues found/m)
  })

  it('is written and formatted as the settings say', async () => {
    const ruff = ['-m', 'ruff']
    const same = ['--no-cache', '--config', settings, ...everything]
    expect(await python(...ruff, 'check', ...same)).toMatch(/All checks passed/)
    expect(await python(...ruff, 'format', '--check', ...same)).toMatch(/already formatted/)
  })

  it('reads exactly the fields that the service sends', async () => {
    const program =
      'import json; from prefixd_mlx.messages import field_names; print(json.dumps(field_names()))'
    expect(JSON.parse(await python('-c', program))).toEqual(protocolFields[0])
  })
})
