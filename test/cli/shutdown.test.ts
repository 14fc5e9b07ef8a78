import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const shutdown = new URL('../../src/cli/shutdown.ts', import.meta.url).href

const waitMs = 30_000

/** Ends as `close` lets it, from the moment that it was asked to. */
async function run(close: string): Promise<{ code: number | null; signal: string | null }> {
  const program = `
    import { onShutdown } from ${JSON.stringify(shutdown)}
    onShutdown(async () => { ${close} }, { limitMs: 50, stuckMs: 50 })
    setInterval(() => {}, 1000)
    process.kill(process.pid, 'SIGTERM')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: 'ignore',
  })
  const signal = AbortSignal.timeout(waitMs)
  try {
    const [code, by] = await once(child, 'exit', { signal })
    return { code, signal: by }
  } finally {
    child.kill('SIGKILL')
  }
}

test('a service that has closed ends with 0', async () => {
  expect(await run('')).toEqual({ code: 0, signal: null })
})

test('a service that does not close in time ends with 1', async () => {
  expect(await run('await new Promise(() => {})')).toEqual({ code: 1, signal: null })
})

test('a service whose event loop stands still while it closes is killed', async () => {
  const standStill = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'
  expect(await run(standStill)).toEqual({ code: null, signal: 'SIGKILL' })
})
