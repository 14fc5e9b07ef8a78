import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { importsOf, readSource, repositoryRoot } from '../support/source-files.ts'

/** Packages that the files behind `entry` load, without the server that only `serve` asks for. */
function packagesBehind(entry: string): string[] {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const waiting = [entry]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    for (const { specifier, target, kind } of importsOf(readSource(path))) {
      if (kind === 'type' || target === 'src/main.ts') continue
      if (target !== null) waiting.push(target)
      else if (!specifier.startsWith('node:')) packages.add(specifier)
    }
  }
  return [...packages].sort()
}

it('loads no server and no storage, whatever the command, until serve starts', () => {
  expect(packagesBehind('src/cli/main.ts')).toEqual([
    '@stricli/core',
    'close-with-grace',
    'eventsource-parser/stream',
    // For the lock that `rm` looks at, and loaded by it alone.
    'koffi',
    'smol-toml',
  ])
})

async function run(...words: string[]) {
  const script = join(repositoryRoot, 'src/cli/main.ts')
  const child = spawn(process.execPath, [script, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, [exit]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { exit, out, err }
}

it('is a process that prints its version', async () => {
  const { version } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8'))
  expect(await run('--version')).toEqual({ exit: 0, out: `${version}\n`, err: '' })
})

it('is a process that ends with the exit code of its failure', async () => {
  expect(await run('ls', '--nonsense')).toMatchObject({ exit: 2, out: '' })
  expect(await run('ps', '--url', 'http://127.0.0.1:1')).toMatchObject({ exit: 7, out: '' })
})
