import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { claimThing, useThing } from '../../src/models/in-use.ts'
import { removeModel, useModel } from '../../src/models/index.ts'
import { repositoryRoot } from '../support/source-files.ts'
import { modelBytes } from './fake-hub.ts'
import { createModelsFolder, refusal } from './models-folder.ts'

const what = 'The thing'

function lockPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'prefixd-in-use-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, 'thing.in-use')
}

/** A process that uses the thing until it is killed. */
async function otherUser(path: string) {
  const module = JSON.stringify(join(repositoryRoot, 'src/models/in-use.ts'))
  const words = [path, what, '/other'].map((word) => JSON.stringify(word)).join(', ')
  const script = `import { useThing } from ${module}
    await useThing(${words})
    setInterval(() => {}, 60_000)
    console.log('used')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

describe('a thing that services use', () => {
  it('is deleted by nobody who does not force it, until the last one has ended', async () => {
    const path = lockPath()
    const first = await useThing(path, what, '/one')
    const second = await otherUser(path)
    const error = await refusal(claimThing(path, what, false), 'PREFIXD_E_IN_USE')
    expect(error.message).toBe(
      'The thing is used by a running prefixd: ' +
        `process ${process.pid} (--dir /one) and process ${second.pid} (--dir /other).`,
    )
    ;(await claimThing(path, what, true)).release()
    first.release()
    const left = await refusal(claimThing(path, what, false), 'PREFIXD_E_IN_USE')
    expect(left.message).toContain(`process ${second.pid}`)

    // However it ends: nothing is left to clear.
    second.kill('SIGKILL')
    await once(second, 'exit')
    const claim = await claimThing(path, what, false)
    claim.release()
    expect(readdirSync(join(path, '..'))).toEqual([])
  })

  it('is not begun to be used while it is deleted', async () => {
    const path = lockPath()
    const claim = await claimThing(path, what, false)
    await refusal(useThing(path, what, '/one'), 'PREFIXD_E_IN_USE')
    claim.release()
    ;(await useThing(path, what, '/one')).release()
  })

  it('is used without a lock where none can be made', async () => {
    const use = await useThing('/proc/thing.in-use', what, '/one')
    use.release()
  })
})

describe('a model of the store', () => {
  it('is not removed while a service has it, by whatever path', async () => {
    const folder = createModelsFolder()
    onTestFinished(folder.remove)
    const around = folder.around()
    const path = folder.write('store/tiny.gguf', modelBytes(100))
    const link = join(folder.home, 'link.gguf')
    symlinkSync(path, link)
    for (const named of [path, link]) {
      const use = await useModel(named, '/data', around)
      const error = await refusal(removeModel('tiny', around), 'PREFIXD_E_IN_USE')
      expect(error.message).toContain('The model tiny is used by a running prefixd')
      use?.release()
    }
    expect(await useModel(folder.write('mine.gguf', 'x'), '/data', around)).toBeNull()
    expect((await removeModel('tiny', around)).freedBytes).toBe(100)
    expect(folder.files()).toEqual([])
  })

  it('is removed by force', async () => {
    const folder = createModelsFolder()
    onTestFinished(folder.remove)
    const path = folder.write('store/tiny.gguf', modelBytes(100))
    const use = await useModel(path, '/data', folder.around())
    onTestFinished(() => use?.release())
    await removeModel('tiny', folder.around(), { force: true })
    expect(folder.files()).toEqual(['tiny.in-use'])
  })
})
