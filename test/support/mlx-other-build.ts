/** An environment of the MLX engine that is the tests' own one but for what its metadata says. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

/**
 * Value for PREFIXD_ENGINES_DIR. Everything is taken from the environment that `python` belongs to;
 * only mlx-lm calls itself `version`. Gone after the test.
 */
export function otherMlxBuild(python: string, version: string): string {
  const whole = dirname(dirname(python))
  const enginesDir = mkdtempSync(join(tmpdir(), 'prefixd-other-build-'))
  onTestFinished(() => rmSync(enginesDir, { recursive: true, force: true }))
  const own = join(enginesDir, 'mlx')
  mkdirSync(join(own, 'bin'), { recursive: true })
  symlinkSync(realpathSync(python), join(own, 'bin', 'python'))
  for (const name of ['pyvenv.cfg', 'prefixd.json']) cpSync(join(whole, name), join(own, name))

  const packages = (environment: string, name: string): string =>
    join(environment, 'lib', name, 'site-packages')
  const [lib = ''] = readdirSync(join(whole, 'lib'))
  const theirs = packages(whole, lib)
  const ours = packages(own, lib)
  const metadata = join(ours, `mlx_lm-${version}.dist-info`)
  mkdirSync(metadata, { recursive: true })
  const lines = ['Metadata-Version: 2.1', 'Name: mlx-lm', `Version: ${version}`, '']
  writeFileSync(join(metadata, 'METADATA'), lines.join('\n'))
  // Read behind this folder, so that everything else is found there.
  writeFileSync(join(ours, 'whole.pth'), `${theirs}\n`)
  const blas = 'scipy_openblas32'
  if (existsSync(join(theirs, blas))) symlinkSync(join(theirs, blas), join(ours, blas))
  return enginesDir
}
